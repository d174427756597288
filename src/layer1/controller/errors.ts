// What the management API refuses, as codes. Each sentence ends with what to do.

import { defineErrors } from '#core/errors';

export const controllerErrors = defineErrors('controller', {
  unauthorized: {
    status: 401,
    retry: false,
    doc: 'The call has no token, or one that is not known. Send `Authorization: Bearer <token>`.',
  },
  tooManyCalls: {
    status: 429,
    retry: true,
    doc: 'The token makes more calls than it may, or too many wrong tokens came from one address. Wait as long as Retry-After says.',
  },
  appNotFound: {
    status: 404,
    retry: false,
    doc: 'There is no app of that name. `gantry apps` lists them.',
  },
  nameTaken: {
    status: 409,
    retry: false,
    doc: 'An app of that name exists, or another app holds its domain. Choose another name.',
  },
  nameReserved: {
    status: 409,
    retry: false,
    doc: "The name or domain belongs to Gantry's own routes. Choose another one.",
  },
  appIsDeleting: {
    status: 409,
    retry: false,
    doc: 'The app is being deleted; nothing of it can be changed any more.',
  },
  systemApp: {
    status: 409,
    retry: false,
    doc: 'The app is Gantry itself: it is upgraded by `script/up`, and it cannot be deleted.',
  },
  releaseNotFound: {
    status: 404,
    retry: false,
    doc: 'The app has no release of that version (any more). `gantry release` lists them.',
  },
  noRelease: {
    status: 409,
    retry: false,
    doc: 'The app has nothing to run or to go back to yet. Push code or deploy an image first.',
  },
  processTypeNotFound: {
    status: 404,
    retry: false,
    doc: 'The release has no process of that type; the message lists those it has.',
  },
  hostNotFound: {
    status: 404,
    retry: false,
    doc: 'No machine of the cluster has that name or id. `gantry host list` shows them.',
  },
  hostInUse: {
    status: 409,
    retry: false,
    doc: 'The machine is not to be removed as it is: it runs processes, it has the store, or it is the only one. The message says which and what to do.',
  },
  invalidConfig: {
    status: 400,
    retry: false,
    doc: 'A config variable has a name or a value that cannot be passed to a process.',
  },
  configTooLarge: {
    status: 413,
    retry: false,
    doc: 'The config of the app is too large. Keep large values in files or in a store.',
  },
  configNotFound: {
    status: 404,
    retry: false,
    doc: 'The app has no config variable of that name. `gantry env` lists the names.',
  },
  deploymentNotFound: {
    status: 404,
    retry: false,
    doc: 'The app has no deployment of that id (any more). `gantry deployment` lists them.',
  },
  deploymentFailed: {
    status: 422,
    retry: false,
    doc: 'The release did not get healthy and was rolled back, or a newer one took its place.',
  },
  jobNotFound: {
    status: 404,
    retry: false,
    doc: 'The app has no job of that id or name. `gantry ps` lists them.',
  },
  jobNotRunning: {
    status: 409,
    retry: true,
    doc: 'The job has no running container to attach to; the message says what it waits for.',
  },
  routeTaken: {
    status: 409,
    retry: false,
    doc: 'Another route has this domain and path, or this port. Remove that one first.',
  },
  routeNotFound: {
    status: 404,
    retry: false,
    doc: 'The app has no route of that id. `gantry route` lists them.',
  },
  invalidRoute: {
    status: 400,
    retry: false,
    doc: 'The domain, path, port or certificate cannot be used; the message says why.',
  },
  hostPortInvalid: {
    status: 400,
    retry: false,
    doc: 'A process may not have this port of its machine; the message says why.',
  },
  tokenNotFound: {
    status: 404,
    retry: false,
    doc: 'There is no token of that id. `gantry token` lists them.',
  },
  idempotencyMismatch: {
    status: 422,
    retry: false,
    doc: 'The Idempotency-Key was used for another request. Use a new key for a new request.',
  },
  conflict: {
    status: 409,
    retry: true,
    doc: 'Others changed the same app at the same time, again and again. Try once more.',
  },
  badBackup: {
    status: 400,
    retry: false,
    doc: 'The file is no backup, is not whole, or is of another cluster. Nothing was changed.',
  },
  unavailable: {
    status: 503,
    retry: true,
    doc: 'The part of Gantry that this call needs is not running right now. `gantry doctor` says more.',
  },
});
