// The runtime commands of each step, as text. Pure: a test compares them with literals.

import type { ServerRef, Step } from './steps.ts';

export interface CommandContext {
  routesMap: string;
  servicesMap: string;
  certificateList: string;
  checkMs: number;
}

/** One line a command; a payload follows its command in the same string. */
export function commandsOf(step: Step, context: CommandContext): string[] {
  switch (step.do) {
    case 'set-map': {
      const verb = step.isNew ? 'add' : 'set';
      return [`${verb} map ${mapPath(step.map, context)} ${step.key} ${step.value}`];
    }
    case 'delete-map':
      return [`del map ${mapPath(step.map, context)} ${step.key}`];
    case 'add-server': {
      const { name, address, port } = step.server;
      const at = ref({ backend: step.backend, name });
      const options = serverOptions(context.checkMs);
      const proxy = step.server.sendsProxyProtocol ? ` ${proxyOption}` : '';
      return [
        `add server ${at} ${endpoint(address, port)} ${options}${proxy}`,
        `enable health ${at}`,
        `enable server ${at}`,
      ];
    }
    case 'readdress':
      return [
        `set server ${ref(step.at)} addr ${step.address} port ${step.port}`,
        `set server ${ref(step.at)} state ready`,
      ];
    case 'ready':
      return [`enable health ${ref(step.at)}`, `set server ${ref(step.at)} state ready`];
    case 'drain':
      return [`set server ${ref(step.at)} state drain`];
    case 'remove':
      return [`set server ${ref(step.at)} state maint`, `del server ${ref(step.at)}`];
    case 'cut-sessions':
      return [`set server ${ref(step.at)} state maint`, `shutdown sessions server ${ref(step.at)}`];
    case 'end-sessions':
      return [`shutdown sessions server ${ref(step.at)}`];
    case 'put-certificate':
      return certificateCommands(step, context);
    case 'delete-certificate':
      return [
        `del ssl crt-list ${context.certificateList} ${step.path}`,
        `del ssl cert ${step.path}`,
      ];
  }
}

function certificateCommands(
  step: { path: string; pem: string; isNew: boolean },
  context: CommandContext,
): string[] {
  const load = [
    `set ssl cert ${step.path} <<\n${step.pem.trim()}\n`,
    `commit ssl cert ${step.path}`,
  ];
  if (!step.isNew) return load;
  const list = `add ssl crt-list ${context.certificateList} ${step.path}`;
  return [`new ssl cert ${step.path}`, ...load, list];
}

const ref = ({ backend, name }: ServerRef) => `${backend}/${name}`;

const mapPath = (map: 'routes' | 'services', context: CommandContext) =>
  map === 'routes' ? context.routesMap : context.servicesMap;

export const endpoint = (address: string, port: number) =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;

/**
 * Said by `default-server` in the file, and for each dynamic server, which inherits nothing. One failed connection is
 * followed by a check at once (sudden-death): a live instance passes it, a dead one is out within 200 ms. Without
 * pool-max-conn a dynamic server keeps no idle connection, and every request costs three times as much.
 */
export function serverOptions(checkMs: number): string {
  const fastMs = Math.min(200, checkMs);
  return (
    `check inter ${checkMs}ms fastinter ${fastMs}ms downinter ${checkMs}ms fall 2 rise 1 ` +
    'observe layer4 error-limit 1 on-error sudden-death pool-max-conn -1 pool-purge-delay 2s'
  );
}

/** So many servers are checked at the full pace: 2,000 checks a second cost HAProxy 4 % of a core. */
const fullPaceServers = 1_000;
/** The slowest pace is this much slower, however many there are. */
const slowestPace = 8;

/**
 * How often each of so many servers is checked. A server keeps the pace it was added with until HAProxy loads its file again:
 * a change of pace is worth no reload.
 */
export function checkEveryMs(checkMs: number, servers: number): number {
  return checkMs * Math.min(slowestPace, Math.max(1, Math.ceil(servers / fullPaceServers)));
}

/** What a server of the file has beside `default-server`. */
export function paceOption(checkMs: number, servers: number): string {
  const everyMs = checkEveryMs(checkMs, servers);
  return everyMs === checkMs ? '' : ` inter ${everyMs}ms downinter ${everyMs}ms`;
}

export const proxyOption = 'send-proxy-v2';
