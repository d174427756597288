// HAProxy's configuration as text: settings and table in, file out. Read together with a golden file in the tests.
// What only a reload can change (the shape) is named in `description`, so that the loaded one can be compared.

import type { ProxyPaths, RouterConfig } from '../config.ts';
import { endpoint, paceOption, proxyOption, serverOptions } from './commands.ts';
import { backendOfSlot } from './slots.ts';
import type { Table, TcpListener } from './table.ts';

export interface RenderInputs {
  settings: RouterConfig;
  paths: ProxyPaths;
  table: Table;
  /** The certificate list begins with a default one; without it unknown names are refused. */
  hasDefaultCertificate: boolean;
}

/** Differs exactly when a running HAProxy must reload to have the configuration of these inputs. */
export function shapeOf(inputs: RenderInputs): string {
  return `gantry-${fingerprint(globalSection(inputs) + fixedSections(inputs))}`;
}

export function renderConfig(inputs: RenderInputs): string {
  const head = globalSection(inputs).replace(
    'global\n',
    `global\n  description ${shapeOf(inputs)}\n`,
  );
  return `${head}\n${fixedSections(inputs)}\n${backendSections(inputs)}`;
}

function fixedSections(inputs: RenderInputs): string {
  return [
    defaultsSection(inputs),
    healthSection(),
    httpSection(inputs),
    nobodySection(inputs),
    ...inputs.table.tcp.map((listener) => tcpFrontend(listener, inputs)),
  ].join('\n');
}

/** FNV-1a, 32 bits twice: enough to tell a file from the one before it. */
function fingerprint(text: string): string {
  let low = 0x811c9dc5;
  let high = 0x9747b28c;
  for (let index = 0; index < text.length; index++) {
    low = Math.imul(low ^ text.charCodeAt(index), 0x01000193);
    high = Math.imul(high ^ text.charCodeAt(index), 0x85ebca6b);
  }
  return [low, high].map((part) => (part >>> 0).toString(16).padStart(8, '0')).join('');
}

/** HAProxy takes as many connections as its limit of open files allows; two files a connection. */
function globalSection({ settings }: RenderInputs): string {
  return `# Written by Gantry's router; changes are overwritten.
global
  fd-hard-limit ${2 * settings.maxConnections + 1024}
  log stdout format raw local0
  stats socket "\${GANTRY_PROXY_RUN}/stats.sock" mode 600 level admin expose-fd listeners
  stats timeout 1m
  server-state-file "\${GANTRY_PROXY_RUN}/servers.state"
  hard-stop-after ${settings.oldWorkerMs}ms
  spread-checks 10
  ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
`;
}

/** Backends do not log: HAProxy says a change of a server's state on stderr anyway, and requests are the frontends'. */
function defaultsSection({ settings, paths }: RenderInputs): string {
  const problem = (status: number, text: string) =>
    `  http-error status ${status} content-type text/plain lf-string "${text}\\n" hdr cache-control no-store`;
  return `defaults base
  mode http
  log global
  timeout connect ${settings.connectTimeoutMs}ms
  timeout http-request ${settings.headerTimeoutMs}ms
  timeout http-keep-alive ${settings.keepAliveMs}ms
  timeout client ${settings.idleMs}ms
  timeout server ${settings.idleMs}ms
  timeout tunnel ${settings.tunnelIdleMs}ms
${problem(400, 'This is not a valid HTTP request.')}
${problem(408, 'The request did not arrive in time.')}
${problem(500, 'The router failed to handle this request.')}

defaults web from base
  no log
  load-server-state-from-file global
  default-server ${serverOptions(settings.checkMs)}
  balance leastconn
  http-reuse safe
${probeRules}
  retries 3
  option redispatch 1
  retry-on conn-failure empty-response
  http-request disable-l7-retry unless { method GET HEAD OPTIONS TRACE PUT DELETE }
${noInstanceRules(paths)}
${problem(502, '%[var(txn.service)]: the instance closed the connection before it had answered.')}
${problem(503, '%[var(txn.service)]: no instance accepted the connection.')}
${problem(504, '%[var(txn.service)]: the instance did not answer in time.')}

defaults streams
  mode tcp
  option dontlognull
  load-server-state-from-file global
  default-server ${serverOptions(settings.checkMs)}
  balance leastconn
  retries 3
  option redispatch 1
  timeout connect ${settings.connectTimeoutMs}ms
  timeout client ${settings.tunnelIdleMs}ms
  timeout server ${settings.tunnelIdleMs}ms
`;
}

/**
 * Of connections to instances that rest. Where a machine was cut off, an instance may have closed one meanwhile without a word
 * that arrives, and what is sent there afterwards is lost: with these the connection is gone 4 to 6 s after the cut, before most
 * servers close what rests (Node after 5 s), and not within a pause of 3 s. Machines answer them, however busy the instance is.
 */
const probeRules = [
  '  option srvtcpka',
  '  srvtcpka-idle 2s',
  '  srvtcpka-intvl 1s',
  '  srvtcpka-cnt 4',
].join('\n');

/** A page that names the service, in the form that the client asks for. */
function pageRules(status: number, paths: ProxyPaths, condition: string): string {
  const page = (type: string, extension: string, accept: string) =>
    `  http-request return status ${status} content-type ${type} lf-file ${paths.errors}/${status}.${extension} hdr cache-control no-store${condition}${accept}`;
  return [
    page('application/json', 'json', '{ req.hdr(accept) -m sub application/json }'),
    page('text/html', 'html', '{ req.hdr(accept) -m sub text/html }'),
    page('text/plain', 'txt', '{ always_true }'),
  ].join('\n');
}

/** A worker that is stopping counts no server of its own as usable, though it goes on using them. */
const noInstanceRules = (paths: ProxyPaths) =>
  pageRules(503, paths, ' if { nbsrv eq 0 } !{ stopping } ');

function healthSection(): string {
  return `frontend health from base
  no log
  bind "127.0.0.1:\${PORT}"
  http-request use-service prometheus-exporter if { path /metrics }
  http-request return status 200 content-type text/plain string "ok"
`;
}

const accessLog = [
  'method=%HM',
  'host=%[var(txn.host)]',
  'path="%{+E}[var(txn.path)]"',
  'app=%[var(txn.service),field(2,.)]',
  'service=%[var(txn.service)]',
  'instance=%s',
  'status=%ST',
  'bytes=%B',
  'Tq=%Tq Tw=%Tw Tc=%Tc Tr=%Tr Tt=%Tt',
  'end=%tsc',
  'from=%ci',
  'id=%[var(txn.id)]',
].join(' ');

function httpSection(inputs: RenderInputs): string {
  const { settings, paths } = inputs;
  return `frontend http from base
${httpBinds(inputs).join('\n')}
  option idle-close-on-response
  option http-ignore-probes
  log-format '${accessLog}'
  http-request set-var(txn.id) req.hdr(x-request-id)
  http-request set-var(txn.id) uuid unless { var(txn.id) -m reg ^[A-Za-z0-9_-]{1,64}$ }
  http-request set-var(txn.path) path
  http-request set-var(txn.host) req.hdr(host),host_only,rtrim(.),lower
  http-request set-var(txn.route) var(txn.host),concat(,txn.path,/),map_beg(${paths.routesMap})
  http-request set-var(txn.wild) var(txn.host),field(2,.,0) unless { var(txn.route) -m found }
  http-request set-var(txn.route) str(*.),concat(,txn.wild),concat(,txn.path,/),map_beg(${paths.routesMap}) unless { var(txn.route) -m found }
  http-request set-var(txn.service) var(txn.route),field(1,|),map_str(${paths.servicesMap},-)
  http-request set-header X-Request-Id %[var(txn.id)]
${forwardedRules(settings)}
  http-request del-header proxy -m beg
${redirectRule(settings)}  http-after-response set-header X-Request-Id %[var(txn.id)]
  use_backend %[var(txn.route),field(1,|)]
  default_backend nobody
`;
}

function httpBinds({ settings, paths, hasDefaultCertificate }: RenderInputs): string[] {
  const strict = hasDefaultCertificate ? '' : ' strict-sni';
  return bindAddresses(settings).flatMap((address) => {
    const http = `  bind ${endpoint(address, settings.httpPort)}`;
    if (settings.httpsPort === 0) return [http];
    const tls = `ssl crt-list ${paths.certificateList}${strict} alpn h2,http/1.1`;
    return [http, `  bind ${endpoint(address, settings.httpsPort)} ${tls}`];
  });
}

function bindAddresses(settings: RouterConfig): string[] {
  return listOf(settings.bindAddresses).filter((address) => /^[0-9a-fA-F.:]+$/.test(address));
}

function listOf(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

/**
 * The client's own X-Forwarded-* headers are worth nothing, unless a proxy that is trusted sent them. Taken away in one go and
 * added: setting each one would search all headers each time.
 */
function forwardedRules(settings: RouterConfig): string {
  const trusted = listOf(settings.trustedProxies).filter((net) => /^[0-9a-fA-F.:/]+$/.test(net));
  const unless = trusted.length > 0 ? ` unless { src ${trusted.join(' ')} }` : '';
  const appended =
    trusted.length > 0
      ? `  http-request add-header X-Forwarded-For %[src] if { src ${trusted.join(' ')} }\n`
      : '';
  return `${appended}  http-request del-header x-forwarded- -m beg${unless}
  http-request add-header X-Forwarded-For %[src]${unless}
  http-request add-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]${unless}
  http-request add-header X-Forwarded-Host %[req.hdr(host)]${unless}
  http-request add-header X-Forwarded-Port %[dst_port]${unless}`;
}

function redirectRule(settings: RouterConfig): string {
  if (settings.httpsPort === 0) return '';
  const port = settings.httpsPort === 443 ? '' : `:${settings.httpsPort}`;
  return `  http-request redirect location https://%[var(txn.host)]${port}%[pathq] code 308 if !{ ssl_fc } { var(txn.route) -m end |s }\n`;
}

/** The host is shown only when it is a plain name: the page must not carry what someone else wrote into it. */
function nobodySection({ paths }: RenderInputs): string {
  return `backend nobody from base
  http-request set-var(txn.shown) 'str(this name)'
  http-request set-var(txn.shown) var(txn.host) if { var(txn.host) -m reg ^[a-z0-9.-]{1,253}$ }
${pageRules(404, paths, ' if ')}
`;
}

function tcpFrontend({ port, backend, service }: TcpListener, { settings }: RenderInputs): string {
  const binds = bindAddresses(settings).map((address) => `  bind ${endpoint(address, port)}`);
  const app = service.split('.')[1] ?? '-';
  return `frontend ${backend}-in from streams
${binds.join('\n')}
  log global
  log-format 'tcp=${port} app=${app} service=${service} instance=%s bytes=%B Tw=%Tw Tc=%Tc Tt=%Tt end=%ts from=%ci'
  default_backend ${backend}
`;
}

/** Backends with the servers as they are now: a HAProxy that starts from this file serves at once. */
function backendSections({ table, settings }: RenderInputs): string {
  const sections: string[] = [];
  const pace = paceOption(settings.checkMs, table.serverCount);
  for (const [backend, servers] of table.backends) {
    sections.push(`backend ${backend} from ${backend.startsWith('t') ? 'streams' : 'web'}`);
    for (const server of servers.values()) {
      if (server.isDraining) continue;
      const proxy = server.sendsProxyProtocol ? ` ${proxyOption}` : '';
      sections.push(
        `  server ${server.name} ${endpoint(server.address, server.port)}${pace}${proxy}`,
      );
    }
  }
  for (let slot = table.slots.next; slot <= table.slots.end; slot++)
    sections.push(`backend ${backendOfSlot(slot)} from web`);
  return `${sections.join('\n')}\n`;
}

/** HAProxy's map from `host/path/` to backend. */
export function renderRoutesMap(table: Table): string {
  return [...table.routes].map(([key, value]) => `${key} ${value}\n`).join('');
}

/** The pages: file name below `errors/` to text. `%[...]` is filled in by HAProxy. */
export function renderPages(): Record<string, string> {
  const texts = {
    404: 'There is no route for %[var(txn.shown)].',
    503: 'No instance of %[var(txn.service)] is up.',
  };
  const pages: Record<string, string> = {};
  for (const [status, text] of Object.entries(texts)) {
    pages[`${status}.txt`] = `${text}\n`;
    pages[`${status}.json`] = `{"code":"router.${status}","message":"${text}"}\n`;
    pages[`${status}.html`] =
      `<!doctype html><meta charset="utf-8"><title>${status}</title>` +
      '<body style="font:1.1rem system-ui;margin:15vh auto;max-width:40rem;padding:0 1rem">' +
      `<h1>${status}</h1><p>${text}</p>\n`;
  }
  return pages;
}
