// What a request costs in HAProxy with the router's whole configuration, against a HAProxy with the shortest configuration
// that a person would write for one app: CPU time per request, then requests per second. A second peer, written by hand
// as well, does for that one app what the router does for all: the same headers, log fields and retries.

import { execFile, spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort, Harness, waitFor } from '../test/router/harness.ts';
import type { BenchResult } from './result.ts';
import { startInstances } from './router/instances.ts';
import { median, round } from './router/pairs.ts';

interface Turn {
  cpuMicros: number;
  rps: number;
}

/** A HAProxy that is measured: where it listens, and whose CPU time counts. */
interface Measured {
  port: number;
  /** Asked for each turn: a reload gives HAProxy another worker. */
  pid(): number;
}

interface Case {
  name: string;
  peer: string;
  against: Measured;
  /** Arguments of wrk. */
  load?: string[];
  path?: string;
}

const loggedBare =
  'HAProxy, hand-written: one frontend, one server, forwardfor, httplog to a pipe as ours';

export async function run({ tiny }: { tiny: boolean }): Promise<BenchResult[]> {
  if (spawnSync('wrk').error) throw new Error('wrk is not installed: apt-get install wrk');
  const [pairs, seconds] = tiny ? [1, 1] : [7, 2];
  await using harness = await Harness.create();
  await harness.startProxy();
  await harness.startRouter();
  await harness.addRoute({ service: 'web.shop', domain: 'shop.test' });
  const instances = await startInstances(harness.home);
  await harness.discovery.register({
    id: '1.web.shop',
    service: 'web.shop',
    job: 'job-1',
    host: 'host-test',
    address: '127.0.0.1',
    port: instances.port,
    ports: {},
    state: 'up',
    createdAt: 1,
    metadata: {},
  });
  await harness.answers('shop.test');
  const ours = { port: harness.port, pid: () => routerWorker(harness) };
  const bare = await startPeer(harness, bareRules, instances.port);
  const same = await startPeer(harness, sameRules, instances.port);
  const cases: Case[] = [
    { name: 'proxying', peer: loggedBare, against: bare },
    {
      name: 'proxying, same work',
      peer: 'HAProxy, hand-written for one app: the same headers, log fields and retries',
      against: same,
    },
    {
      name: 'proxying, new connections',
      peer: loggedBare,
      against: bare,
      load: ['-H', 'Connection: close'],
    },
    { name: 'proxying, 64 KB bodies', peer: loggedBare, against: bare, path: '/large' },
  ];
  try {
    const results: BenchResult[] = [];
    for (const each of cases) {
      const turns: [Turn, Turn][] = [];
      for (let pair = 0; pair < pairs; pair++)
        turns.push([await turn(ours, each, seconds), await turn(each.against, each, seconds)]);
      results.push(summary(each, turns));
    }
    return results;
  } finally {
    bare.stop();
    same.stop();
    instances.stop();
  }
}

function summary({ name, peer }: Case, turns: [Turn, Turn][]): BenchResult {
  const ratios = turns.map(([ours, theirs]) => theirs.cpuMicros / ours.cpuMicros);
  const speeds = turns.map(([ours, theirs]) => ours.rps / theirs.rps);
  return {
    name,
    figure: round(median(turns.map(([ours]) => ours.cpuMicros))),
    unit: 'us CPU of HAProxy per request',
    peer,
    peerFigure: round(median(turns.map(([, theirs]) => theirs.cpuMicros))),
    ratio: round(median(ratios)),
    target: '>= 0.95x',
    isMet: median(ratios) >= 0.95,
    min: round(Math.min(...ratios)),
    max: round(Math.max(...ratios)),
    pairs: turns.length,
    note: `ratio is peer / ours; requests per second ${round(median(speeds))}x the peer's`,
  };
}

function routerWorker(harness: Harness): number {
  const proxies = harness.routers[0]?.status().proxies as { worker: number }[];
  return proxies[0]?.worker ?? 0;
}

const bareRules = `  option httplog
  option forwardfor
`;

const sameRules = `  log-format "method=%HM host=%[var(txn.host)] path=%HPO service=%b instance=%s status=%ST bytes=%B Tq=%Tq Tw=%Tw Tc=%Tc Tr=%Tr Tt=%Tt end=%tsc from=%ci id=%ID"
  unique-id-format %[uuid]
  http-request set-var(txn.host) req.hdr(host),host_only,lower
  http-request set-header X-Request-Id %[unique-id]
  http-request set-header X-Forwarded-For %[src]
  http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Forwarded-Port %[dst_port]
  http-response set-header X-Request-Id %[unique-id]
  use_backend app if { var(txn.host) -m str shop.test }
`;

async function startPeer(harness: Harness, rules: string, instancePort: number) {
  const port = await freePort();
  const path = join(harness.home, `peer-${port}.cfg`);
  await writeFile(
    path,
    `global
  log stdout format raw local0
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
frontend in
  bind 127.0.0.1:${port}
  log global
${rules}  default_backend app
backend app
${rules === sameRules ? '  retry-on conn-failure empty-response\n' : ''}  server one 127.0.0.1:${instancePort} check
`,
  );
  const child = spawn('haproxy', ['-db', '-f', path], { stdio: ['ignore', 'pipe', 'ignore'] });
  child.stdout.resume();
  const answers = () => fetch(`http://127.0.0.1:${port}/`).then((answer) => answer.ok);
  await waitFor('the peer', answers);
  return { port, pid: () => Number(child.pid), stop: () => child.kill('SIGKILL') };
}

async function turn(measured: Measured, each: Case, seconds: number): Promise<Turn> {
  const { port } = measured;
  const pid = measured.pid();
  const before = cpuMicros(pid);
  const load = ['-t1', '-c32', `-d${seconds}s`, '-H', 'Host: shop.test', ...(each.load ?? [])];
  const url = `http://127.0.0.1:${port}${each.path ?? '/'}`;
  const { stdout } = await promisify(execFile)('wrk', [...load, url]);
  const requests = Number(stdout.match(/(\d+) requests in/)?.[1]);
  if (/Non-2xx|Socket errors/.test(stdout)) throw new Error(`wrk saw failures: ${stdout}`);
  return { cpuMicros: (cpuMicros(pid) - before) / requests, rps: requests / seconds };
}

/** Time on a processor of all threads, by the scheduler's own count. */
function cpuMicros(pid: number): number {
  const folder = `/proc/${pid}/task`;
  const nanos = readdirSync(folder).map((thread) =>
    Number(readFileSync(join(folder, thread, 'schedstat'), 'utf8').split(' ')[0]),
  );
  return nanos.reduce((sum, each) => sum + each, 0) / 1000;
}

if (import.meta.main)
  console.log(JSON.stringify(await run({ tiny: process.argv.includes('--tiny') })));
