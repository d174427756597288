#!/bin/sh
# A registry of the cluster's images, on loopback. Bytes of images that were deleted go at its start, while nobody writes.
set -eu
cat >/tmp/registry.yml <<EOF
version: 0.1
log: { level: error, accesslog: { disabled: true } }
storage:
  filesystem: { rootdirectory: "$GANTRY_REGISTRY_FOLDER" }
  delete: { enabled: true }
http: { addr: "$GANTRY_REGISTRY_ADDRESS", relativeurls: true, secret: "$GANTRY_REGISTRY_SECRET" }
EOF
docker-registry garbage-collect /tmp/registry.yml >/dev/null 2>&1 || echo 'nothing was collected: the folder is new, or damaged'
exec docker-registry serve /tmp/registry.yml
