// From what one worker of HAProxy has to what it should have: steps as data, in an order in which no request is lost.
// Servers come before the routes that lead to them and leave after them; a busy server is never deleted.

import type { ObservedServer, ServerHealth, WorkerState } from './state.ts';
import type { Server, Table } from './table.ts';

export interface ServerRef {
  backend: string;
  name: string;
}

export type MapName = 'routes' | 'services';

export type Step =
  | { do: 'set-map'; map: MapName; key: string; value: string; isNew: boolean }
  | { do: 'delete-map'; map: MapName; key: string }
  | { do: 'add-server'; backend: string; server: Server }
  | { do: 'readdress'; at: ServerRef; address: string; port: number }
  | { do: 'ready' | 'drain' | 'remove'; at: ServerRef }
  | { do: 'cut-sessions' | 'end-sessions'; at: ServerRef }
  | { do: 'put-certificate'; path: string; pem: string; fingerprint: string; isNew: boolean }
  | { do: 'delete-certificate'; path: string };

export interface Certificates {
  /** Path to what should be loaded there. */
  byPath: ReadonlyMap<string, { pem: string; fingerprint: string }>;
}

/** What must be true before runtime commands can do the rest. */
export type ReloadReason = 'shape' | 'backends' | 'spares';

/** Undefined: no reload. `spares` may wait until the runtime steps are done, the others may not. */
export function decideReload(table: Table, shape: string, state: WorkerState) {
  if (state.shape !== shape) return 'shape' satisfies ReloadReason;
  for (const backend of table.backends.keys())
    if (!state.backends.has(backend)) return 'backends' satisfies ReloadReason;
  return state.backends.has(`b${table.slots.end}`) ? undefined : ('spares' satisfies ReloadReason);
}

/**
 * Everything but taking servers away: that needs to know who is busy (`decideRemovals`). `had` is the table that this
 * state is known to have already: what is the same object in both is not looked at, which leaves little of a large table.
 */
export function decideSteps(
  table: Table,
  certificates: Certificates,
  state: WorkerState,
  had?: Table,
): Step[] {
  const { services, routes } = table;
  const isServicesNew = services !== had?.services;
  const isRoutesNew = routes !== had?.routes;
  return [
    ...(isServicesNew ? mapPuts('services', services, state.services) : []),
    ...serverSteps(table, state, had),
    ...certificateSteps(certificates, state),
    ...(isRoutesNew ? mapPuts('routes', routes, state.routes) : []),
    ...(isRoutesNew ? mapDeletes('routes', routes, state.routes) : []),
    ...(isServicesNew ? mapDeletes('services', services, state.services) : []),
  ];
}

function mapPuts(map: MapName, wanted: ReadonlyMap<string, string>, has: Map<string, string>) {
  const steps: Step[] = [];
  for (const [key, value] of wanted) {
    const old = has.get(key);
    if (old !== value) steps.push({ do: 'set-map', map, key, value, isNew: old === undefined });
  }
  return steps;
}

function mapDeletes(map: MapName, wanted: ReadonlyMap<string, string>, has: Map<string, string>) {
  const steps: Step[] = [];
  for (const key of has.keys()) if (!wanted.has(key)) steps.push({ do: 'delete-map', map, key });
  return steps;
}

/** Arrivals of all backends before departures of any. */
function serverSteps(table: Table, state: WorkerState, had: Table | undefined): Step[] {
  const arrivals: Step[] = [];
  const departures: Step[] = [];
  const isSame = (backend: string) =>
    had !== undefined && had.backends.get(backend) === table.backends.get(backend);
  for (const [backend, servers] of table.backends) {
    if (!state.backends.has(backend) || isSame(backend)) continue;
    const observed = state.servers.get(backend);
    for (const server of servers.values()) {
      const step = serverStep(backend, server, observed?.get(server.name));
      if (step) (step.do === 'drain' ? departures : arrivals).push(step);
    }
  }
  for (const [backend, servers] of state.servers) {
    if (isSame(backend)) continue;
    for (const [name, server] of servers) {
      const isWanted = table.backends.get(backend)?.has(name) ?? false;
      if (!isWanted && !server.isDraining && !server.isMaint)
        departures.push({ do: 'drain', at: { backend, name } });
    }
  }
  return [...arrivals, ...departures];
}

function serverStep(backend: string, wanted: Server, seen: ObservedServer | undefined) {
  const at = { backend, name: wanted.name };
  if (!seen) {
    const step: Step = { do: 'add-server', backend, server: wanted };
    return wanted.isDraining ? undefined : step;
  }
  const hasMoved = seen.address !== wanted.address || seen.port !== wanted.port;
  let step: Step | undefined;
  if (wanted.isDraining) step = seen.isDraining || seen.isMaint ? undefined : { do: 'drain', at };
  else if (hasMoved) step = { do: 'readdress', at, address: wanted.address, port: wanted.port };
  else if (seen.isMaint || seen.isDraining) step = { do: 'ready', at };
  return step;
}

function certificateSteps({ byPath }: Certificates, state: WorkerState): Step[] {
  const steps: Step[] = [];
  for (const [path, { pem, fingerprint }] of byPath) {
    const loaded = state.certificates.get(path);
    if (loaded !== fingerprint)
      steps.push({ do: 'put-certificate', path, pem, fingerprint, isNew: loaded === undefined });
  }
  for (const path of state.certificates.keys())
    if (!byPath.has(path)) steps.push({ do: 'delete-certificate', path });
  return steps;
}

/** Servers that take no new requests: draining ones, and those that nobody wants any more. */
export function leavingServers(table: Table, state: WorkerState): ServerRef[] {
  const leaving: ServerRef[] = [];
  for (const [backend, servers] of state.servers) {
    for (const name of servers.keys()) {
      const wanted = table.backends.get(backend)?.get(name);
      if (!wanted || wanted.isDraining) leaving.push({ backend, name });
    }
  }
  return leaving;
}

export interface Removals {
  steps: Step[];
  /** Servers of draining or gone instances with requests in flight. */
  busy: ServerRef[];
}

export interface RemovalClock {
  nowMs: number;
  /** How long requests to a server whose instance is gone may still run. */
  goneBoundMs: number;
}

/** `sessions`: requests in flight by `backend/name`; a server missing there is left alone. */
export function decideRemovals(
  table: Table,
  state: WorkerState,
  sessions: ReadonlyMap<string, number>,
  clock: RemovalClock,
): Removals {
  const steps: Step[] = [];
  const busy: ServerRef[] = [];
  for (const at of leavingServers(table, state)) {
    const inFlight = sessions.get(`${at.backend}/${at.name}`);
    if (inFlight === undefined) continue;
    const isGone = !table.backends.get(at.backend)?.has(at.name);
    const goneSinceMs = state.servers.get(at.backend)?.get(at.name)?.goneSinceMs ?? clock.nowMs;
    const isOver = clock.nowMs - goneSinceMs >= clock.goneBoundMs;
    if (inFlight > 0 && !(isGone && isOver)) busy.push(at);
    else if (isGone && inFlight > 0) steps.push({ do: 'cut-sessions', at });
    if (isGone && (inFlight === 0 || isOver)) steps.push({ do: 'remove', at });
  }
  return { steps, busy };
}

/** Backends in which fewer servers can be used than are meant to be, some of them on other machines. */
export function doubtfulBackends(table: Table, usable: ReadonlyMap<string, number>): string[] {
  const doubtful: string[] = [];
  for (const [backend, servers] of table.backends) {
    const meant = [...servers.values()].filter(({ isDraining }) => !isDraining);
    const isElsewhere = meant.some((server) => server.isElsewhere);
    if (isElsewhere && (usable.get(backend) ?? 0) < meant.length) doubtful.push(backend);
  }
  return doubtful;
}

export interface Silent {
  /** Servers on machines that have been silent for too long, for which requests wait. */
  over: (ServerRef & { address: string })[];
  /** Some wait for one that is silent, but not for too long yet. */
  isWaiting: boolean;
}

export function decideSilent(
  table: Table,
  health: ReadonlyMap<string, ReadonlyMap<string, ServerHealth>>,
  silentBoundMs: number,
): Silent {
  const over: Silent['over'] = [];
  let isWaiting = false;
  for (const [backend, servers] of health)
    for (const [name, { sessions, isSilent, sinceMs }] of servers) {
      const server = table.backends.get(backend)?.get(name);
      if (!server?.isElsewhere || !isSilent || sessions === 0) continue;
      if (sinceMs >= silentBoundMs) over.push({ backend, name, address: server.address });
      else isWaiting = true;
    }
  return { over, isWaiting };
}

/** The state after a `remove` of which HAProxy did the first half: out of use, but still there. */
export function holdServer(state: WorkerState, step: Step): void {
  if (step.do !== 'remove') return;
  const server = state.servers.get(step.at.backend)?.get(step.at.name);
  if (server) server.isMaint = true;
}

/** The state after a step that HAProxy accepted; saves reading it all back after each change. */
export function applyStep(state: WorkerState, step: Step): void {
  const serversOf = (backend: string) => {
    const servers = state.servers.get(backend) ?? new Map<string, ObservedServer>();
    state.servers.set(backend, servers);
    return servers;
  };
  switch (step.do) {
    case 'set-map':
      state[step.map].set(step.key, step.value);
      return;
    case 'delete-map':
      state[step.map].delete(step.key);
      return;
    case 'add-server': {
      const { name, address, port } = step.server;
      serversOf(step.backend).set(name, { address, port, isMaint: false, isDraining: false });
      return;
    }
    case 'readdress':
      Object.assign(serversOf(step.at.backend).get(step.at.name) ?? {}, {
        address: step.address,
        port: step.port,
        isMaint: false,
        isDraining: false,
      });
      return;
    case 'ready':
    case 'drain':
      Object.assign(serversOf(step.at.backend).get(step.at.name) ?? {}, {
        isMaint: false,
        isDraining: step.do === 'drain',
      });
      return;
    case 'remove':
      serversOf(step.at.backend).delete(step.at.name);
      return;
    case 'cut-sessions':
    case 'end-sessions':
      return;
    case 'put-certificate':
      state.certificates.set(step.path, step.fingerprint);
      return;
    case 'delete-certificate':
      state.certificates.delete(step.path);
      return;
  }
}
