// Settings of the router: ports and limits that end up in HAProxy's configuration, and where it lives.

import { join } from 'node:path';
import { numberSetting, type SettingsOf, textSetting } from '#core/config';
import { tcpPorts } from './wire.ts';

const hourMs = 3_600_000;

function durationSetting(env: string, fallback: number, doc: string) {
  return numberSetting({ env, doc, fallback, min: 10, max: 24 * hourMs });
}

export const routerSettings = {
  home: textSetting({
    env: 'GANTRY_HOME',
    doc: "Gantry's folder; HAProxy's files are in `proxy/` below it.",
    fallback: '/var/lib/gantry',
  }),
  hostUrl: textSetting({
    env: 'GANTRY_HOST_URL',
    doc: 'Where layer 0 answers.',
    fallback: 'unix:/var/lib/gantry/run/host.sock',
  }),
  hostId: textSetting({ env: 'GANTRY_HOST_ID', doc: 'The host whose proxy this router drives.' }),
  port: numberSetting({
    env: 'PORT',
    doc: 'Where /healthz, /status and /metrics answer on 127.0.0.1; 0 lets the system choose.',
    min: 0,
    max: 65535,
  }),
  bindAddresses: textSetting({
    env: 'GANTRY_ROUTER_BIND',
    doc: 'Addresses that HTTP, HTTPS and TCP routes listen on, separated by commas.',
    fallback: '0.0.0.0',
  }),
  httpPort: numberSetting({
    env: 'GANTRY_HTTP_PORT',
    doc: 'Port of HTTP.',
    fallback: 80,
    min: 1,
    max: 65535,
  }),
  httpsPort: numberSetting({
    env: 'GANTRY_HTTPS_PORT',
    doc: 'Port of HTTPS; 0 turns it off.',
    fallback: 443,
    min: 0,
    max: 65535,
  }),
  tcpPortMin: numberSetting({
    env: 'GANTRY_TCP_PORT_MIN',
    doc: 'First port that a TCP route may listen on.',
    fallback: tcpPorts.min,
    min: 1,
    max: 65535,
  }),
  tcpPortMax: numberSetting({
    env: 'GANTRY_TCP_PORT_MAX',
    doc: 'Last port that a TCP route may listen on.',
    fallback: tcpPorts.max,
    min: 1,
    max: 65535,
  }),
  defaultCertificate: textSetting({
    env: 'GANTRY_DEFAULT_CERTIFICATE',
    doc: 'Domain whose certificate answers names without one; otherwise such handshakes are refused.',
    fallback: '',
  }),
  trustedProxies: textSetting({
    env: 'GANTRY_TRUSTED_PROXIES',
    doc: 'Networks, separated by commas, whose X-Forwarded-* headers are kept instead of replaced.',
    fallback: '',
  }),
  maxConnections: numberSetting({
    env: 'GANTRY_ROUTER_MAX_CONNECTIONS',
    doc: 'Most client connections at once; more wait in the accept queue.',
    fallback: 20_000,
    min: 100,
    max: 1_000_000,
  }),
  spareBackends: numberSetting({
    env: 'GANTRY_ROUTER_SPARE_BACKENDS',
    doc: 'Empty backends kept ready, so that a new service needs no reload.',
    fallback: 64,
    min: 4,
    max: 1024,
  }),
  checkMs: durationSetting(
    'GANTRY_ROUTER_CHECK_MS',
    500,
    "Between two of HAProxy's TCP checks of an instance; two failures take it out.",
  ),
  connectTimeoutMs: durationSetting(
    'GANTRY_ROUTER_CONNECT_TIMEOUT_MS',
    2_000,
    'Longest wait for an instance to accept a connection, each of four tries.',
  ),
  headerTimeoutMs: durationSetting(
    'GANTRY_ROUTER_HEADER_TIMEOUT_MS',
    10_000,
    "Longest wait for a request's complete header.",
  ),
  keepAliveMs: durationSetting(
    'GANTRY_ROUTER_KEEP_ALIVE_MS',
    30_000,
    'How long an idle client connection is kept.',
  ),
  idleMs: durationSetting(
    'GANTRY_ROUTER_IDLE_MS',
    300_000,
    'Longest silence of client or instance within a request.',
  ),
  tunnelIdleMs: durationSetting(
    'GANTRY_ROUTER_TUNNEL_IDLE_MS',
    hourMs,
    'Longest silence of a WebSocket or TCP connection.',
  ),
  oldWorkerMs: durationSetting(
    'GANTRY_ROUTER_OLD_WORKER_MS',
    hourMs,
    'How long connections that began before a reload may last.',
  ),
  proxyGraceMs: durationSetting(
    'GANTRY_PROXY_GRACE_MS',
    60_000,
    'How long connections through a HAProxy that an upgrade replaces may last. The upgrade waits for them: give GANTRY_DEPLOY_SLACK_MS as much.',
  ),
  awayMs: durationSetting(
    'GANTRY_ROUTER_AWAY_MS',
    300_000,
    'How long drains count on a HAProxy whose router is silent: until then an instance keeps all of its drain time.',
  ),
  goneBoundMs: durationSetting(
    'GANTRY_ROUTER_GONE_BOUND_MS',
    10_000,
    'How long requests to an instance that has left discovery may still run before they are cut.',
  ),
  silentBoundMs: durationSetting(
    'GANTRY_ROUTER_SILENT_BOUND_MS',
    4_000,
    "How long an instance on another machine has been out by HAProxy's checks, without an answer of its machine, until requests that wait for it end; those that may be sent twice go to another one.",
  ),
};

export type RouterConfig = SettingsOf<typeof routerSettings>;

/** Where each file of HAProxy is. */
export interface ProxyPaths {
  config: string;
  routesMap: string;
  servicesMap: string;
  certificates: string;
  certificateList: string;
  errors: string;
  /** One folder per running HAProxy, with its sockets. */
  run: string;
}

export function proxyPaths(home: string): ProxyPaths {
  const base = join(home, 'proxy');
  return {
    config: join(base, 'haproxy.cfg'),
    routesMap: join(base, 'maps/routes.map'),
    servicesMap: join(base, 'maps/services.map'),
    certificates: join(base, 'certs'),
    certificateList: join(base, 'certs/list.txt'),
    errors: join(base, 'errors'),
    run: join(base, 'run'),
  };
}
