#!/usr/bin/env bash
# make-debian.sh SUITE FILE: a tar of a bare Debian (no Node, no Docker, no git) that installs packages as this machine does.
set -euo pipefail
suite=$1 file=$2
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -v '^#' |
  grep -oE 'https?://[^ ]+' | grep -v security | head -n 1 || true)
work=$(mktemp -d /dev/shm/gantry-debian.XXXXXX)
trap 'rm -rf "$work"' EXIT
TMPDIR=$work mmdebstrap --quiet --variant=minbase --mode=root --dpkgopt=force-unsafe-io \
  --format=tar --aptopt='Acquire::Languages "none"' --include=ca-certificates,iproute2,procps,curl,hostname \
  --customize-hook='mkdir -p "$1/etc/apt/apt.conf.d"; cp /etc/apt/apt.conf.d/99* "$1/etc/apt/apt.conf.d/" 2>/dev/null || true' \
  "$suite" "$file" "$mirror"
