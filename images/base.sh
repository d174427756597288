#!/bin/bash
# Prints the root file system of the base image as a tar: Debian trixie (or, on another Debian-like machine, its own release),
# minimal, with what every image of ours has. The mirror is whatever this machine's own apt uses.
# Needs root, mmdebstrap and the distribution's archive keyring. Takes 15 s in memory, about 35 s on a disk.
set -euo pipefail

suite=trixie
packages=ca-certificates,curl,git
room_kb=1500000

# One line per source of the distribution itself: base URI, suite, component.
own_sources() {
  apt-get indextargets --format '$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)' 'Identifier: Packages' |
    sed -n 's/^\(Debian\|Ubuntu\)|//p' | sort -u
}

. /etc/os-release
if [ -z "$(own_sources)" ]; then apt-get update -qq >&2; fi
if [ "$ID" != debian ]; then suite=$VERSION_CODENAME; fi

# The machine's own release name becomes the image's in each suite: bookworm-security -> trixie-security.
sources=$(own_sources | while IFS='|' read -r uri release component; do
  case $release in
    "$VERSION_CODENAME" | "$VERSION_CODENAME"-updates | "$VERSION_CODENAME"-security)
      echo "deb $uri ${release/#$VERSION_CODENAME/$suite} $component"
      ;;
  esac
done | sort -u)
if [ -z "$sources" ]; then
  echo "images/base.sh: found no Debian or Ubuntu source for $VERSION_CODENAME in this machine's apt configuration; add one or make a registry reachable" >&2
  exit 1
fi

free_kb=$(df --output=avail -k /dev/shm 2>/dev/null | tail -1 || echo 0)
if [ "${free_kb:-0}" -gt "$room_kb" ]; then export TMPDIR=/dev/shm; fi

mmdebstrap --quiet --variant=minbase --include="$packages" \
  --dpkgopt=force-unsafe-io \
  --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/doc/*' \
  --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  "$suite" - - <<<"$sources"
