#!/bin/sh
# The process type `proxy`: HAProxy on the files in $GANTRY_HOME/proxy, which the router writes. It needs no router to
# start: the last table is on disk. A HAProxy that still runs hands its listening sockets over, so that replacing this
# container drops no connection. SIGTERM or SIGUSR1: no new connections, finish what runs, exit.
set -eu

proxy=${GANTRY_HOME:-/var/lib/gantry}/proxy
haproxy=${GANTRY_HAPROXY:-haproxy}
: "${PORT:?the port of the health endpoint on 127.0.0.1}"
export PORT
umask 077
mkdir -p "$proxy/run" "$proxy/maps" "$proxy/certs" "$proxy/errors"

# A run folder is its proxy's for as long as that holds the lock in it, which any death lets go of.
for lock in "$proxy"/run/*/lock; do
  if [ -e "$lock" ] && flock -n "$lock" true; then rm -rf "${lock%/lock}"; fi
done

# The newest HAProxy that is there and stays, if any: one that is ending has closed what could be taken over.
older=
for socket in $(ls -t "$proxy"/run/*/stats.sock 2>/dev/null); do
  [ ! -e "${socket%/stats.sock}/ending" ] || continue
  older=$socket
  break
done

id=$(cut -c 1-8 /proc/sys/kernel/random/uuid)
GANTRY_PROXY_RUN=$proxy/run/$id
export GANTRY_PROXY_RUN
mkdir "$GANTRY_PROXY_RUN"
# Held before it has its name: nobody sees it free.
exec 9>"$GANTRY_PROXY_RUN/lock.new"
flock 9
mv "$GANTRY_PROXY_RUN/lock.new" "$GANTRY_PROXY_RUN/lock"

replace() { # replace FROM TO: whole or not at all
  cp "$1" "$2.new.$id" && mv "$2.new.$id" "$2"
}

write_first() {
  cat >"$proxy/haproxy.cfg.new.$id" <<'END'
# The first configuration: no routes yet. The router replaces it.
global
  description first
  log stdout format raw local0
  stats socket "${GANTRY_PROXY_RUN}/stats.sock" mode 600 level admin expose-fd listeners
defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
frontend health
  bind "127.0.0.1:${PORT}"
  http-request return status 200 content-type text/plain string "ok"
END
  mv "$proxy/haproxy.cfg.new.$id" "$proxy/haproxy.cfg"
}

is_valid() { [ -f "$1" ] && "$haproxy" -c -q -f "$1"; }

if is_valid "$proxy/haproxy.cfg"; then
  replace "$proxy/haproxy.cfg" "$proxy/haproxy.good.cfg"
else
  [ ! -f "$proxy/haproxy.cfg" ] || mv "$proxy/haproxy.cfg" "$proxy/haproxy.bad.cfg"
  if is_valid "$proxy/haproxy.good.cfg"; then
    echo 'gantry-proxy: haproxy.cfg is not valid (kept as haproxy.bad.cfg); starting with the last good one' >&2
    replace "$proxy/haproxy.good.cfg" "$proxy/haproxy.cfg"
  else
    write_first
  fi
fi

"$haproxy" -W -S "$GANTRY_PROXY_RUN/master.sock,mode,600" -f "$proxy/haproxy.cfg" ${older:+-x "$older"} &
pid=$!
trap 'touch "$GANTRY_PROXY_RUN/ending"; kill -USR1 "$pid" 2>/dev/null || true' TERM USR1 INT

# A signal ends `wait` early; only HAProxy's own end ends the loop.
while :; do
  code=0
  wait "$pid" || code=$?
  kill -0 "$pid" 2>/dev/null || break
done
rm -rf "$GANTRY_PROXY_RUN"
exit "$code"
