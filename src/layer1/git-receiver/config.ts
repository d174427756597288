// The git receiver's settings.

import { numberSetting, type SettingsOf, textSetting } from '#core/config';

const mebibyte = 1024 * 1024;

export const gitReceiverSettings = {
  port: numberSetting({
    env: 'PORT',
    doc: 'Where git is answered, on 127.0.0.1; the host agent chooses it. 0 lets the system choose.',
    min: 0,
    max: 65_535,
  }),
  hostUrl: textSetting({
    env: 'GANTRY_HOST_URL',
    doc: 'Where layer 0 answers: `unix:/var/lib/gantry/run/host.sock`.',
  }),
  hostId: textSetting({ env: 'GANTRY_HOST_ID', doc: 'Which host this is.' }),
  repositories: textSetting({
    env: 'GANTRY_REPOSITORIES',
    doc: 'The folder with one bare repository for each app: the volume `repositories` of app gantry.',
    fallback: '/repositories',
  }),
  internalKey: textSetting({
    env: 'GANTRY_INTERNAL_KEY',
    doc: 'The bearer token by which system processes know one another.',
  }),
  maxPackBytes: numberSetting({
    env: 'GANTRY_GIT_MAX_PACK_BYTES',
    doc: 'Most bytes of one push.',
    fallback: 512 * mebibyte,
    min: 1024,
    max: 1024 * 1024 * mebibyte,
  }),
  maxProcesses: numberSetting({
    env: 'GANTRY_GIT_MAX_PROCESSES',
    doc: 'Most pushes and fetches at a time.',
    fallback: 16,
    min: 1,
    max: 1000,
  }),
  idleTimeoutMs: numberSetting({
    env: 'GANTRY_GIT_IDLE_TIMEOUT_MS',
    doc: 'A pusher that sends nothing for this long, while git waits for it, is cut off.',
    fallback: 60_000,
    min: 100,
    max: 3_600_000,
  }),
  buildTimeoutMs: numberSetting({
    env: 'GANTRY_PUSH_TIMEOUT_MS',
    doc: 'Longest time from the end of the upload to the end of the deployment.',
    fallback: 1_800_000,
    min: 1000,
    max: 86_400_000,
  }),
};

export type GitReceiverConfig = SettingsOf<typeof gitReceiverSettings>;
