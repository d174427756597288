// Logs of a process that must stay small: the same JSON lines as the other daemons', without their library.

import type { DnsLog } from './index.ts';

export function createLineLog(component: string, write: (line: string) => void): DnsLog {
  const at = (level: string) => (fields: Record<string, unknown>, message: string) =>
    write(
      `${JSON.stringify({ level, time: new Date().toISOString(), component, ...fields, msg: message })}\n`,
    );
  return { info: at('info'), warn: at('warn') };
}
