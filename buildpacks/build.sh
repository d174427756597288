#!/bin/bash
# Builds one app, inside its build job and as its user: source on stdin, the built app in /app, the process types in a
# last line on stdout. What this prints is believed only about the app itself: a hostile build can lie to nobody else.
#   GANTRY_SOURCE_BYTES   length of the tar on stdin; .gantry-build/env/NAME in it are the app's config values
#   GANTRY_BUILDPACK      the buildpack to use, where the app asks for one
#   GANTRY_MAX_BYTES      the largest app, built
#   GANTRY_RESULT_MARK    what the line with the result begins with
#   GANTRY_END_WITH_INPUT set: stdin stays open as long as somebody waits for this build; its end ends the build
set -euo pipefail

packs=/gantry/buildpacks
cache=/gantry/cache
work=$(mktemp -d /tmp/gantry-build.XXXXXX)
trap 'rm -rf "$work"' EXIT
# The pusher has gone. Everything in this container is this build's: bash itself would first wait for what runs below.
end_at_once() { kill -KILL -1; }

fail() {
  echo " !     $1"
  exit 1
}

receive_source() {
  head -c "${GANTRY_SOURCE_BYTES:?}" | tar -xf - -C /app --no-same-owner --no-same-permissions ||
    fail 'The source could not be unpacked: the archive is cut off or has entries that only root may create.'
  mkdir -p /app/.gantry-build/env
  mv /app/.gantry-build "$work/input"
}

# Whoever asked for this build may die without a word. Nobody would read what comes out then.
end_with_input() {
  [ -n "${GANTRY_END_WITH_INPUT:-}" ] || return 0
  {
    cat >/dev/null
    end_at_once
  } <&0 &
}

choose_buildpack() {
  local name
  for name in ${GANTRY_BUILDPACK:-nodejs static}; do
    [ -d "$packs/$name" ] || fail "There is no buildpack named $name: $(ls -d "$packs"/*/ | xargs -n1 basename | xargs) are."
    if title=$("$packs/$name/bin/detect" /app); then
      buildpack=$name
      return
    fi
  done
  fail 'No buildpack fits this source. Looked for, at the top of the repository: Dockerfile, package.json (Node.js), index.html or public/index.html or static.json (static site). Commit one of them.'
}

# Nothing of the job's own environment reaches the app's scripts, except what they need to get packages.
compile() {
  local ca=()
  if [ -s /gantry/ca/extra.pem ]; then
    ca=(NODE_EXTRA_CA_CERTS=/gantry/ca/extra.pem SSL_CERT_FILE=/gantry/ca/extra.pem)
  fi
  env -i HOME=/app LANG=C.UTF-8 TERM=dumb CI=true STACK=gantry PATH=/usr/local/bin:/usr/bin:/bin "${ca[@]}" \
    "$packs/$buildpack/bin/compile" /app "$1" "$work/input/env" </dev/null 2>&1
}

check_size() {
  local bytes
  bytes=$(du -s --bytes /app | cut -f1)
  [ "$bytes" -le "${GANTRY_MAX_BYTES:-2147483648}" ] ||
    fail "The built app has $((bytes / 1048576)) MB; the limit is $((${GANTRY_MAX_BYTES:-2147483648} / 1048576)) MB. Leave out of the repository, or of the dependencies, what does not run."
  echo "-----> Built: $((bytes / 1048576)) MB"
}

print_result() {
  local procfile=
  if [ -f /app/Procfile ]; then procfile=$(head -c 65536 /app/Procfile | base64 -w0); fi
  echo "${GANTRY_RESULT_MARK:-result} $buildpack ${procfile:--} $("$packs/$buildpack/bin/release" /app | head -c 65536 | base64 -w0)"
}

receive_source
end_with_input
choose_buildpack
echo "-----> $title"
if ! mkdir -p "$cache/$buildpack" 2>/dev/null || [ ! -w "$cache/$buildpack" ]; then
  echo '       No build cache: its folder cannot be written'
  cache=$work/cache
  mkdir -p "$cache/$buildpack"
fi
compile "$cache/$buildpack" || exit 1
check_size
print_result
