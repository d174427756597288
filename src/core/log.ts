// Structured logs: one JSON object a line on stdout. Secrets never reach it: the known names are redacted.

import { type DestinationStream, type Logger, pino } from 'pino';

export type Log = Logger;

const secretPaths = [
  'token',
  'password',
  'secret',
  'env',
  'authorization',
  '*.token',
  '*.password',
  '*.secret',
  '*.env',
  '*.authorization',
];

/** Writes to stdout, unless `to` says where. */
export function createLog(component: string, level = 'info', to?: DestinationStream): Log {
  const options = {
    level,
    base: { component },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: secretPaths, censor: '***' },
    // Pino's usual one joins the messages of all causes, which ours often name already.
    serializers: { err: pino.stdSerializers.errWithCause },
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return to ? pino(options, to) : pino(options);
}

export const silentLog: Log = pino({ level: 'silent' });
