// Who this machine is: settings that script/up gives the daemon once.

import { numberSetting, textSetting } from '#core/config';

export const daemonSettings = {
  home: textSetting({
    env: 'GANTRY_HOME',
    doc: 'The one folder of Gantry on a machine; containers see it under the same path.',
    fallback: '/var/lib/gantry',
  }),
  clusterId: textSetting({
    env: 'GANTRY_CLUSTER_ID',
    doc: 'Which cluster this machine belongs to: a label of everything Gantry makes.',
  }),
  hostId: textSetting({ env: 'GANTRY_HOST_ID', doc: 'This machine in the cluster.' }),
  hostName: textSetting({ env: 'GANTRY_HOST_NAME', doc: 'The same for people.' }),
  hostAddress: textSetting({
    env: 'GANTRY_HOST_ADDRESS',
    doc: 'Where other machines reach this one.',
  }),
  storeHost: textSetting({
    env: 'GANTRY_STORE_HOST',
    doc: 'Host id of the machine that has the store; empty where it is this one.',
    fallback: '',
  }),
  version: textSetting({
    env: 'GANTRY_VERSION',
    doc: 'Which sources this daemon was built from.',
    fallback: 'development',
  }),
  engineSocket: textSetting({
    env: 'GANTRY_ENGINE_SOCKET',
    doc: "The container engine's socket, in a folder that was mounted whole.",
    fallback: '/var/run/docker.sock',
  }),
  domain: textSetting({
    env: 'GANTRY_DOMAIN',
    doc: 'Names below it lead to the router, from inside containers too.',
    fallback: 'gantry.localhost',
  }),
  httpPort: numberSetting({
    env: 'GANTRY_HTTP_PORT',
    doc: 'The port the router takes HTTP on: apps may reach it.',
    fallback: 80,
    min: 1,
    max: 65_535,
  }),
  httpsPort: numberSetting({
    env: 'GANTRY_HTTPS_PORT',
    doc: 'The port the router takes HTTPS on: apps may reach it.',
    fallback: 443,
    min: 1,
    max: 65_535,
  }),
  registryPort: numberSetting({
    env: 'GANTRY_REGISTRY_PORT',
    doc: 'Loopback port of the registry of images, where this machine has one; the next two lead to those of the cluster.',
    fallback: 7450,
    min: 1,
    max: 65_533,
  }),
};

/** Machines that have a registry. */
export const registrySlots = 2;
/** How often registries are compared with what is needed. */
export const registryEveryMs = 60_000;
/** How often images that nothing names are looked for. */
export const collectEveryMs = 600_000;
