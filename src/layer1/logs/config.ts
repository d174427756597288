// The settings of logs, and its limits with their names.

import { numberSetting, type SettingsOf, textSetting } from '#core/config';

export const logsSettings = {
  port: numberSetting({
    env: 'PORT',
    doc: 'Where logs are served, on 127.0.0.1; the host agent chooses it.',
    min: 0,
    max: 65_535,
  }),
  home: textSetting({ env: 'GANTRY_HOME', doc: 'The one folder of Gantry.' }),
  hostUrl: textSetting({ env: 'GANTRY_HOST_URL', doc: 'Where layer 0 answers.' }),
  hostId: textSetting({ env: 'GANTRY_HOST_ID', doc: 'Which host this is.' }),
  internalKey: textSetting({
    env: 'GANTRY_INTERNAL_KEY',
    doc: 'The bearer token by which system processes know one another.',
  }),
  segmentBytes: numberSetting({
    env: 'GANTRY_LOG_SEGMENT_BYTES',
    doc: 'Size at which a file of the history is closed and the next one begun.',
    fallback: 5 * 1024 * 1024,
    min: 4096,
    max: 1024 ** 3,
  }),
  segmentsPerApp: numberSetting({
    env: 'GANTRY_LOG_SEGMENTS',
    doc: 'How many files of history an app keeps; the oldest goes first.',
    fallback: 10,
    min: 2,
    max: 10_000,
  }),
};

export type LogsConfig = SettingsOf<typeof logsSettings>;

/** Bytes read from a container's file at once. */
export const readChunkBytes = 256 * 1024;
/** A line is cut here; the engine itself splits at 16 KiB and we join. */
export const maxLineBytes = 256 * 1024;
/** Bytes of history read at once: more than the longest line has there, as JSON may need six bytes for one of it. */
export const historyChunkBytes = 8 * maxLineBytes;
/** How often positions are made durable while lines arrive. */
export const checkpointMs = 1000;
/** How often files are looked at when no change was notified. */
export const rescanMs = 5000;
/** Lines that `log` answers with when it is not told. */
export const defaultLines = 100;
