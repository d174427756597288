// What one HAProxy worker says about itself, read out of the text its runtime socket answers. Pure.

export interface ObservedServer {
  address: string;
  port: number;
  isMaint: boolean;
  isDraining: boolean;
  /** Since when it is not wanted any more, by the router's clock. */
  goneSinceMs?: number;
}

export interface WorkerState {
  pid: number;
  /** Which rendered configuration it loaded: the shape of it, without backends and servers. */
  shape: string;
  isStopping: boolean;
  backends: ReadonlySet<string>;
  routes: Map<string, string>;
  services: Map<string, string>;
  servers: Map<string, Map<string, ObservedServer>>;
  /** Path of the certificate file to the SHA-1 of what is loaded, upper-case hex. */
  certificates: Map<string, string>;
}

export interface WorkerInfo {
  pid: number;
  shape: string;
  isStopping: boolean;
}

export function parseInfo(text: string): WorkerInfo {
  const field = (name: string) => text.match(new RegExp(`^${name}: (.*)$`, 'm'))?.[1] ?? '';
  return {
    pid: Number(field('Pid')),
    shape: field('description'),
    isStopping: field('Stopping') === '1',
  };
}

/** `show backend`: one name a line below a comment. */
export function parseBackends(text: string): Set<string> {
  return new Set(contentLines(text));
}

/** `show map`: an address, the key, the value. */
export function parseMap(text: string): Map<string, string> {
  const entries = new Map<string, string>();
  for (const line of contentLines(text)) {
    const [, key, value] = line.split(' ');
    if (key !== undefined && value !== undefined) entries.set(key, value);
  }
  return entries;
}

/** Bits of srv_admin_state, from HAProxy's management guide. */
const maintBits = 0x01 | 0x02 | 0x04 | 0x20 | 0x40;
const drainBits = 0x08 | 0x10;

/** `show servers state`, format version 1. */
export function parseServers(text: string): Map<string, Map<string, ObservedServer>> {
  const backends = new Map<string, Map<string, ObservedServer>>();
  for (const line of contentLines(text)) {
    const columns = line.split(' ');
    const [, backend, , name, address] = columns;
    if (columns.length < 19 || !backend || !name || !address) continue;
    const admin = Number(columns[6]);
    const servers = backends.get(backend) ?? new Map<string, ObservedServer>();
    backends.set(backend, servers);
    servers.set(name, {
      address,
      port: Number(columns[18]),
      isMaint: (admin & maintBits) !== 0,
      isDraining: (admin & drainBits) !== 0,
    });
  }
  return backends;
}

/** `show stat <backend> 4 -1`: sessions now, by server. */
export function parseSessions(text: string): Map<string, number> {
  const sessions = new Map<string, number>();
  for (const line of contentLines(text)) {
    const columns = line.split(',');
    if (columns.length > 4) sessions.set(String(columns[1]), Number(columns[4]));
  }
  return sessions;
}

/** `show stat -1 2 -1`: how many servers may be used now, by backend. */
export function parseUsable(text: string): Map<string, number> {
  const usable = new Map<string, number>();
  for (const line of contentLines(text)) {
    const columns = line.split(',');
    if (columns.length > 19) usable.set(String(columns[0]), Number(columns[19]));
  }
  return usable;
}

export interface ServerHealth {
  sessions: number;
  /** Out because nothing at its address answered its checks at all: its machine is off, or the way to it is cut. */
  isSilent: boolean;
  /** Since its state changed. */
  sinceMs: number;
}

/** `show stat <backend> 4 -1`: how each server is, by name. */
export function parseHealth(text: string): Map<string, ServerHealth> {
  const health = new Map<string, ServerHealth>();
  for (const line of contentLines(text)) {
    const columns = line.split(',');
    if (columns.length < 37) continue;
    const isDown = columns[17]?.startsWith('DOWN') === true;
    health.set(String(columns[1]), {
      sessions: Number(columns[4]),
      isSilent: isDown && columns[36]?.replace(/^\* /, '') === 'L4TOUT',
      sinceMs: Number(columns[23]) * 1000,
    });
  }
  return health;
}

/** `show proc` of the master: process ids of the workers, the current one first. */
export function parseWorkers(text: string): { current: number | undefined; old: number[] } {
  const [head = '', old = ''] = text.split('# old workers');
  const pids = (part: string) =>
    [...part.matchAll(/^(\d+)\s+worker\s/gm)].map((match) => Number(match[1]));
  return { current: pids(head)[0], old: pids(old) };
}

/** `show ssl crt-list`: the files in it. */
export function parseCertificateList(text: string): string[] {
  return contentLines(text).map((line) => line.split(' ')[0] ?? '');
}

export function parseFingerprint(text: string): string {
  return text.match(/^SHA1 FingerPrint: ([0-9A-F]+)$/m)?.[1] ?? '';
}

function contentLines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#') && line !== '1');
}
