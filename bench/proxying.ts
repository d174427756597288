// What a request costs in HAProxy with the router's whole configuration, against a HAProxy with the shortest
// configuration a person would write for one app: CPU time of the worker per request, then requests per second.

import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort, Harness, waitFor } from '../test/router/harness.ts';
import type { BenchResult } from './result.ts';
import { median, round } from './router/pairs.ts';

interface Turn {
  cpuMicros: number;
  rps: number;
}

/** USER_HZ: what /proc counts CPU time in on every Linux. */
const tickMicros = 10_000;

export async function run({ tiny }: { tiny: boolean }): Promise<BenchResult> {
  if (spawnSync('wrk').error) throw new Error('wrk is not installed: apt-get install wrk');
  const [pairs, seconds] = tiny ? [1, 1] : [7, 4];
  await using harness = await Harness.create();
  await harness.startProxy();
  await harness.startRouter();
  await harness.addRoute({ service: 'web.shop', domain: 'shop.test' });
  const { backend } = await harness.startInstance('web.shop', 1);
  await harness.answers('shop.test');
  const bare = await startBare(harness, backend.port);
  try {
    const ours: Turn[] = [];
    const theirs: Turn[] = [];
    for (let pair = 0; pair < pairs; pair++) {
      ours.push(await turn(harness.port, routerWorker(harness), seconds));
      theirs.push(await turn(bare.port, bare.pid, seconds));
    }
    return summary(ours, theirs);
  } finally {
    bare.child.kill('SIGKILL');
  }
}

function summary(ours: Turn[], theirs: Turn[]): BenchResult {
  const ratios = ours.map(
    ({ cpuMicros }, pair) => (theirs[pair]?.cpuMicros ?? Number.NaN) / cpuMicros,
  );
  const speeds = ours.map(({ rps }, pair) => rps / (theirs[pair]?.rps ?? Number.NaN));
  return {
    name: 'proxying',
    figure: round(median(ours.map(({ cpuMicros }) => cpuMicros))),
    unit: 'us CPU of HAProxy per request',
    peer: 'HAProxy, hand-written: one frontend, one server, forwardfor, httplog to a pipe as ours',
    peerFigure: round(median(theirs.map(({ cpuMicros }) => cpuMicros))),
    ratio: round(median(ratios)),
    target: '>= 0.95x',
    isMet: median(ratios) >= 0.95,
    min: round(Math.min(...ratios)),
    max: round(Math.max(...ratios)),
    pairs: ours.length,
    note: `ratio is peer / ours; requests per second ${round(median(speeds))}x the peer's`,
  };
}

function routerWorker(harness: Harness): number {
  const proxies = harness.routers[0]?.status().proxies as { worker: number }[];
  return proxies[0]?.worker ?? 0;
}

async function startBare(harness: Harness, backendPort: number) {
  const port = await freePort();
  const path = join(harness.home, 'bare.cfg');
  await writeFile(
    path,
    `global
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  option forwardfor
  timeout connect 2s
  timeout client 60s
  timeout server 60s
frontend in
  bind 127.0.0.1:${port}
  default_backend app
backend app
  server one 127.0.0.1:${backendPort} check
`,
  );
  const child: ChildProcess = spawn('haproxy', ['-db', '-f', path], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  child.stdout?.resume();
  const answers = () => fetch(`http://127.0.0.1:${port}/`).then((answer) => answer.ok);
  await waitFor('the bare HAProxy', answers);
  return { child, port, pid: Number(child.pid) };
}

async function turn(port: number, pid: number, seconds: number): Promise<Turn> {
  const before = cpuMicros(pid);
  const args = [
    '-t1',
    '-c32',
    `-d${seconds}s`,
    '-H',
    'Host: shop.test',
    `http://127.0.0.1:${port}/`,
  ];
  const { stdout } = await promisify(execFile)('wrk', args);
  const requests = Number(stdout.match(/(\d+) requests in/)?.[1]);
  if (/Non-2xx|Socket errors/.test(stdout)) throw new Error(`wrk saw failures: ${stdout}`);
  return { cpuMicros: (cpuMicros(pid) - before) / requests, rps: requests / seconds };
}

function cpuMicros(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * tickMicros;
}

if (import.meta.main)
  console.log(JSON.stringify(await run({ tiny: process.argv.includes('--tiny') })));
