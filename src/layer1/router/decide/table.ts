// What HAProxy should know: from routes and instances to maps, backends and servers. Pure.

import type { Instance } from '#layer0/discovery/client';
import type { Route } from '../wire.ts';
import { assignSlots, backendOfSlot, type Slots, servicesOf } from './slots.ts';

export interface Server {
  name: string;
  address: string;
  port: number;
  isDraining: boolean;
  sendsProxyProtocol: boolean;
  /** On another machine, which can be lost while this one is not. */
  isElsewhere: boolean;
}

export interface TcpListener {
  port: number;
  backend: string;
  service: string;
  sendsProxyProtocol: boolean;
}

/** What follows from routes alone; it stands while they do, so that a change of instances costs no look at routes. */
export interface RoutePlan {
  /** The machine whose HAProxy this is for. */
  host: string;
  slots: Slots;
  /** `host/path/` to backend, with `|s` where plain HTTP is redirected. */
  routes: ReadonlyMap<string, string>;
  /** Backend to service. */
  services: ReadonlyMap<string, string>;
  tcp: readonly TcpListener[];
}

export interface Table extends RoutePlan {
  /** Backend to its servers by name; the same map as in the table before where no instance has changed. */
  backends: ReadonlyMap<string, ReadonlyMap<string, Server>>;
  /** In all backends. */
  serverCount: number;
  /** Some servers are on other machines. */
  hasElsewhere: boolean;
}

export interface RouteInputs {
  host: string;
  routes: Iterable<Route>;
  slots: Slots;
  spares: number;
  /** Ports that a TCP route may have. */
  tcpPorts: { min: number; max: number };
}

export function planRoutes(inputs: RouteInputs): RoutePlan {
  const routes = [...inputs.routes].filter(hasPlainService).sort(bySeniority);
  const http = routes.filter((route) => route.type === 'http' && route.domain !== undefined);
  const wanted = new Set(http.map((route) => route.service));
  const slots = assignSlots(inputs.slots, wanted, inputs.spares);
  const byPort = new Map<number, TcpListener>();
  for (const { type, port, service, sendsProxyProtocol } of routes) {
    if (type !== 'tcp' || !isAllowedPort(port, inputs.tcpPorts) || byPort.has(port)) continue;
    byPort.set(port, { port, backend: `t${port}`, service, sendsProxyProtocol });
  }
  const tcp = [...byPort.values()].sort((a, b) => a.port - b.port);
  const tcpServices = new Map(tcp.map(({ backend, service }) => [backend, service]));
  return {
    host: inputs.host,
    slots,
    routes: routeEntries(http, slots),
    services: servicesOf(slots, tcpServices),
    tcp,
  };
}

export function makeTable(
  plan: RoutePlan,
  instances: ReadonlyMap<string, readonly Instance[]>,
): Table {
  const backends = new Map<string, ReadonlyMap<string, Server>>();
  for (const [service, slot] of plan.slots.byService)
    backends.set(backendOfSlot(slot), serversOf(instances.get(service) ?? none, plan.host, false));
  for (const { backend, service, sendsProxyProtocol } of plan.tcp)
    backends.set(backend, serversOf(instances.get(service) ?? none, plan.host, sendsProxyProtocol));
  const hasElsewhere = [...instances.values()].some((all) =>
    all.some((instance) => instance.host !== plan.host),
  );
  const serverCount = [...backends.values()].reduce((sum, servers) => sum + servers.size, 0);
  return { ...plan, backends, serverCount, hasElsewhere };
}

/** System routes before users', older before newer: the first claim of a name wins. */
function bySeniority(a: Route, b: Route): number {
  return (
    Number(b.isSystem) - Number(a.isSystem) || a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1)
  );
}

/** It becomes a word of the configuration and of a map. */
const hasPlainService = ({ service }: Route) => /^[\w.-]+$/.test(service);

function isAllowedPort(
  port: number | undefined,
  { min, max }: { min: number; max: number },
): port is number {
  return port !== undefined && port >= min && port <= max;
}

function routeEntries(routes: readonly Route[], slots: Slots): Map<string, string> {
  const entries = new Map<string, string>();
  for (const route of routes) {
    const slot = slots.byService.get(route.service);
    const key = routeMapKey(route.domain ?? '', route.path ?? '/');
    if (slot === undefined || !isMapKey(key) || entries.has(key)) continue;
    entries.set(key, backendOfSlot(slot) + (route.redirectsToHttps ? '|s' : ''));
  }
  return entries;
}

/** `/api` becomes `host/api/`, compared with `host/api/users/`: a prefix ends where a path segment ends. */
export function routeMapKey(domain: string, path: string): string {
  const trimmed = path.replace(/\/+$/, '');
  return `${domain.toLowerCase()}${trimmed}/`;
}

/** What a map file and a runtime command can hold as it is; nothing else ever reaches them. */
function isMapKey(key: string): boolean {
  return /^(\*\.)?[a-z0-9.-]+(\/[\w.~!$&'()*+,=:@%/-]*)$/.test(key);
}

const none: readonly Instance[] = [];

/** Of lists that have not changed since the last table: most of a large one. */
const madeServers = new WeakMap<readonly Instance[], ReadonlyMap<string, Server>>();

function serversOf(
  instances: readonly Instance[],
  host: string,
  sendsProxyProtocol: boolean,
): ReadonlyMap<string, Server> {
  const known = madeServers.get(instances);
  if (known && !sendsProxyProtocol) return known;
  const servers = makeServers(instances, host, sendsProxyProtocol);
  if (!sendsProxyProtocol) madeServers.set(instances, servers);
  return servers;
}

function makeServers(instances: readonly Instance[], host: string, sendsProxyProtocol: boolean) {
  const servers = new Map<string, Server>();
  for (const instance of instances) {
    const { address, port } = instance;
    if (port === 0 || !isAddress(address)) continue;
    const name = serverName(instance);
    const isDraining = instance.state === 'draining';
    const isElsewhere = instance.host !== host;
    servers.set(name, { name, address, port, isDraining, sendsProxyProtocol, isElsewhere });
  }
  return servers;
}

/** HAProxy refuses a whole configuration for one address that is none. */
function isAddress(text: string): boolean {
  const isByte = (part: string) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256;
  const parts = text.split('.');
  if (parts.length === 4 && parts.every(isByte)) return true;
  return /^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*$/.test(text) && URL.canParse(`http://[${text}]/`);
}

/** `1.web.shop:job-x`: during a deploy two jobs share an id, the job tells them apart. */
export function serverName(instance: Pick<Instance, 'id' | 'job'>): string {
  const name = instance.job ? `${instance.id}:${instance.job}` : instance.id;
  return name.replace(/[^\w.:-]/g, '_');
}

export function jobOfServer(name: string): string {
  return name.slice(name.lastIndexOf(':') + 1);
}
