// Reads a worker's whole state, or the little that tells whether it is still the worker we knew.

import {
  parseBackends,
  parseCertificateList,
  parseFingerprint,
  parseHealth,
  parseInfo,
  parseMap,
  parseServers,
  parseSessions,
  parseUsable,
  type ServerHealth,
  type WorkerInfo,
  type WorkerState,
} from '../decide/state.ts';
import type { ServerRef } from '../decide/steps.ts';
import type { Channel } from './runtime-socket.ts';

export interface ObservedFiles {
  routesMap: string;
  servicesMap: string;
  certificateList: string;
}

export async function observeInfo(channel: Channel): Promise<WorkerInfo> {
  const [text = ''] = await channel.run(['show info']);
  return parseInfo(text);
}

export async function observeWorker(channel: Channel, files: ObservedFiles): Promise<WorkerState> {
  const [info = '', backends = '', servers = '', routes = '', services = '', list = ''] =
    await channel.run([
      'show info',
      'show backend',
      'show servers state',
      `show map ${files.routesMap}`,
      `show map ${files.servicesMap}`,
      `show ssl crt-list ${files.certificateList}`,
    ]);
  const paths = parseCertificateList(list).filter((path) => path.endsWith('.pem'));
  const shown = await channel.run(paths.map((path) => `show ssl cert ${path}`));
  return {
    ...parseInfo(info),
    backends: parseBackends(backends),
    servers: parseServers(servers),
    routes: parseMap(routes),
    services: parseMap(services),
    certificates: new Map(
      paths.map((path, index) => [path, parseFingerprint(shown[index] ?? '')] as const),
    ),
  };
}

/** Requests in flight by `backend/name`, of the backends that these servers are in. */
export async function observeSessions(
  channel: Channel,
  servers: readonly ServerRef[],
): Promise<Map<string, number>> {
  const backends = [...new Set(servers.map(({ backend }) => backend))];
  const answers = await channel.run(backends.map((backend) => `show stat ${backend} 4 -1`));
  const sessions = new Map<string, number>();
  answers.forEach((answer, index) => {
    for (const [name, count] of parseSessions(answer))
      sessions.set(`${backends[index]}/${name}`, count);
  });
  return sessions;
}

/** How many servers of each backend can be used: one answer, however many servers there are. */
export async function observeUsable(channel: Channel): Promise<Map<string, number>> {
  const [text = ''] = await channel.run(['show stat -1 2 -1']);
  return parseUsable(text);
}

/** How the servers of these backends are, by backend and name. */
export async function observeHealth(
  channel: Channel,
  backends: readonly string[],
): Promise<Map<string, Map<string, ServerHealth>>> {
  const answers = await channel.run(backends.map((backend) => `show stat ${backend} 4 -1`));
  return new Map(answers.map((answer, index) => [backends[index] ?? '', parseHealth(answer)]));
}
