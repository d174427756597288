// Structured logs: one JSON object a line on stdout. Secrets never reach it: the known names are redacted.

import { type Logger, pino } from 'pino';

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

export function createLog(component: string, level = 'info'): Log {
  return pino({
    level,
    base: { component },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: secretPaths, censor: '***' },
    formatters: { level: (label) => ({ level: label }) },
  });
}

export const silentLog: Log = pino({ level: 'silent' });
