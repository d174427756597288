// What can go wrong with an image: in building it, reading it in, or naming it.

import { defineErrors } from '#core/errors';

export const imageErrors = defineErrors('images', {
  buildFailed: {
    status: 422,
    retry: false,
    doc: 'A step of the Dockerfile failed; message and detail name the step and its exit code.',
  },
  badArchive: {
    status: 400,
    retry: false,
    doc: 'The stream is not what `docker save` writes, or it was cut off. Save the image again.',
  },
  badReference: {
    status: 400,
    retry: false,
    doc: 'An image name must look like `name`, `name:tag` or `registry/name:tag`.',
  },
  notFound: {
    status: 404,
    retry: false,
    doc: 'There is no such image on this machine. Import or build it first.',
  },
  noContainer: {
    status: 404,
    retry: false,
    doc: 'The job to commit has no container on this machine: it never ran here, or was collected.',
  },
  registry: {
    status: 502,
    retry: true,
    doc: 'A registry of the cluster did not give or take an image; it is tried again. `docker logs gantry-registry` on that machine says more.',
  },
  busy: {
    status: 429,
    retry: true,
    doc: 'As many builds or imports as may wait are waiting; try again when some have ended.',
  },
});
