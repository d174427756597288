// What an answer costs in CPU, and how many a second there are, beside dnsmasq with the same names.
// Needs dnsperf and dnsmasq (Debian: dnsperf, dnsmasq-base); everything runs on loopback and is removed.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { DnsTable } from '#layer0/discovery/wire';
import type { BenchResult } from './result.ts';

const run$ = promisify(execFile);
const target = { cpu: 1.3, rate: 0.75 };
const [ours, peer] = [
  { address: '127.0.88.1', port: 15_353 },
  { address: '127.0.88.2', port: 15_353 },
];
/** The kernel's clock ticks a second, in /proc. */
const ticksPerSecond = 100;

interface Server {
  address: string;
  port: number;
  pid: number;
}

interface Sample {
  cpuMicros: number;
  rate: number;
  lost: number;
}

export async function run({ tiny }: { tiny: boolean }): Promise<BenchResult[]> {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-bench-dns-'));
  const children: ChildProcess[] = [];
  const services = tiny ? 20 : 1_000;
  try {
    const queries = await writeNames(folder, services);
    const servers = await startServers(folder, children);
    const stopChurn = churn(folder, services);
    const samples: { ours: Sample; peer: Sample }[] = [];
    for (let pair = 0; pair < (tiny ? 1 : 7); pair++) {
      const isOursFirst = pair % 2 === 0;
      const first = await measure(isOursFirst ? servers.ours : servers.peer, queries, tiny);
      const second = await measure(isOursFirst ? servers.peer : servers.ours, queries, tiny);
      samples.push(isOursFirst ? { ours: first, peer: second } : { ours: second, peer: first });
    }
    await stopChurn();
    return results(samples, services);
  } finally {
    for (const child of children) child.kill('SIGKILL');
    await rm(folder, { recursive: true });
  }
}

function results(samples: { ours: Sample; peer: Sample }[], services: number): BenchResult[] {
  const lost = samples.reduce((sum, sample) => sum + sample.ours.lost, 0);
  const note = `${services} names x 3, the table replaced 20 times a second; ${lost} answers lost`;
  const result = (name: string, unit: string, field: 'cpuMicros' | 'rate'): BenchResult => {
    const isCost = field === 'cpuMicros';
    const ratios = samples.map((sample) => sample.ours[field] / sample.peer[field]);
    const ratio = median(ratios);
    const limit = isCost ? target.cpu : target.rate;
    return {
      name,
      figure: median(samples.map((sample) => sample.ours[field])),
      unit,
      peer: 'dnsmasq',
      peerFigure: median(samples.map((sample) => sample.peer[field])),
      ratio,
      target: isCost ? `<= ${limit}x` : `>= ${limit}x, 0 lost`,
      isMet: isCost ? ratio <= limit : ratio >= limit && lost === 0,
      min: Math.min(...ratios),
      max: Math.max(...ratios),
      pairs: samples.length,
      note,
    };
  };
  return [result('dns-cpu', 'us CPU/query', 'cpuMicros'), result('dns-rate', 'answers/s', 'rate')];
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function aTable(services: number, generation: number): DnsTable {
  const table: DnsTable = {
    domain: 'gantry',
    listeners: [{ address: ours.address, subnet: '127.0.0.0/8', app: 'shop' }],
    services: {},
    routerSuffixes: [],
    upstreams: [],
  };
  for (let index = 0; index < services; index++)
    table.services[`s${index}.shop`] = addressesOf(index).map((address, at) => ({
      address,
      port: 8080 + (generation % 2),
      id: `${at}.s${index}.shop`,
    }));
  return table;
}

function addressesOf(index: number): string[] {
  return [1, 2, 3].map((at) => `10.64.${Math.floor(index / 80)}.${(index % 80) * 3 + at}`);
}

/** Writes the table, dnsmasq's configuration and dnsperf's questions; answers the path of the latter. */
async function writeNames(folder: string, services: number): Promise<string> {
  const names = Array.from({ length: services }, (_, index) => `s${index}.shop.service.gantry`);
  await writeTable(folder, services, 0);
  const hosts = names.flatMap((name, index) => addressesOf(index).map((ip) => `${ip} ${name}`));
  await writeFile(join(folder, 'hosts'), `${hosts.join('\n')}\n`);
  const path = join(folder, 'queries');
  await writeFile(path, `${names.map((name) => `${name} A`).join('\n')}\n`);
  return path;
}

async function writeTable(folder: string, services: number, generation: number): Promise<void> {
  await writeFile(join(folder, 'dns', 'next'), JSON.stringify(aTable(services, generation))).catch(
    async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
      await run$('mkdir', ['-p', join(folder, 'dns')]);
      await writeTable(folder, services, generation);
    },
  );
  await rename(join(folder, 'dns', 'next'), join(folder, 'dns', 'table.json')).catch(
    () => undefined,
  );
}

async function startServers(
  folder: string,
  children: ChildProcess[],
): Promise<{ ours: Server; peer: Server }> {
  const script = join(import.meta.dirname, '..', 'bin', 'gantry-dns.ts');
  const env = { ...process.env, GANTRY_HOME: folder, GANTRY_DNS_PORT: String(ours.port) };
  const gantry = spawn(process.execPath, [script], { env, stdio: 'ignore' });
  const dnsmasq = spawn(
    'dnsmasq',
    [
      '--keep-in-foreground',
      '--no-resolv',
      '--no-hosts',
      '--conf-file=/dev/null',
      '--bind-interfaces',
      `--pid-file=${join(folder, 'dnsmasq.pid')}`,
      `--listen-address=${peer.address}`,
      `--port=${peer.port}`,
      `--addn-hosts=${join(folder, 'hosts')}`,
      '--local=/gantry/',
      '--user=root',
    ],
    { stdio: 'ignore' },
  );
  children.push(gantry, dnsmasq);
  const servers = {
    ours: { ...ours, pid: gantry.pid ?? 0 },
    peer: { ...peer, pid: dnsmasq.pid ?? 0 },
  };
  const once = join(folder, 'once');
  await writeFile(once, 's1.shop.service.gantry A\n');
  for (const server of [servers.ours, servers.peer]) await untilAnswering(server, once);
  return servers;
}

async function untilAnswering(server: Server, queries: string): Promise<void> {
  const end = Date.now() + 10_000;
  while (Date.now() < end) {
    const { completed } = await perf(server, queries, ['-n', '1', '-t', '1']);
    if (completed === 1) return;
  }
  throw new Error(`no DNS server answers at ${server.address}:${server.port}`);
}

async function perf(server: Server, queries: string, args: string[]) {
  const base = ['-s', server.address, '-p', String(server.port), '-d', queries];
  const { stdout } = await run$('dnsperf', [...base, ...args]);
  const read = (label: string) => Number(stdout.match(new RegExp(`${label}:\\s+([\\d.]+)`))?.[1]);
  return {
    completed: read('Queries completed'),
    lost: read('Queries lost'),
    rate: read('Queries per second'),
  };
}

async function measure(server: Server, queries: string, isTiny: boolean): Promise<Sample> {
  const before = await cpuSeconds(server.pid);
  const seconds = isTiny ? '1' : '5';
  const { completed, lost, rate } = await perf(server, queries, [
    '-l',
    seconds,
    '-c',
    '8',
    '-q',
    '50',
  ]);
  const cpuMicros = (((await cpuSeconds(server.pid)) - before) * 1e6) / completed;
  return { cpuMicros, rate, lost };
}

async function cpuSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** Our table changes all the time, as it does while an app is deployed; dnsmasq's names stand still. */
function churn(folder: string, services: number): () => Promise<void> {
  let isOver = false;
  const loop = async () => {
    for (let generation = 1; !isOver; generation++) {
      await writeTable(folder, services, generation);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const running = loop();
  return () => {
    isOver = true;
    return running;
  };
}
