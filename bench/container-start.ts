// What our runtime adds to the engine's own create and start, and whether a burst goes as fast as the engine can.
// Needs Docker and /bin/busybox (Debian: busybox-static); removes everything it made.

import { randomBytes } from 'node:crypto';
import { Agent, request } from 'node:http';
import { availableParallelism } from 'node:os';
import { text } from 'node:stream/consumers';
import { systemClock } from '#core/clock';
import { silentLog } from '#core/log';
import { systemRandom } from '#core/random';
import { containerBody } from '../src/layer0/host/runtime/docker/container-body.ts';
import { createDockerRuntime } from '../src/layer0/host/runtime/docker/docker-runtime.ts';
import type { ContainerSpec, Runtime } from '../src/layer0/host/runtime/runtime.ts';
import { buildBusyboxImage } from '../test/busybox-image.ts';
import type { BenchResult } from './result.ts';

const socketPath = '/var/run/docker.sock';
const target = { overhead: 1.1, burst: 0.95 };

/** Creates and starts one container of this name; resolves when the engine says that it runs. */
type Start = (name: string) => Promise<void>;

interface Bench {
  runtime: Runtime;
  ours: Start;
  raw: Start;
  /** Removes every container so far. */
  clear(): Promise<void>;
  close(): Promise<void>;
}

export async function run({ tiny }: { tiny: boolean }): Promise<BenchResult[]> {
  const bench = await open();
  try {
    return [
      await benchOverhead(bench, tiny ? 2 : 21),
      await benchBurst(bench, { pairs: tiny ? 1 : 7, count: tiny ? 4 : 50 }),
    ];
  } finally {
    await bench.close();
  }
}

async function open(): Promise<Bench> {
  const name = `gantry-bench-${randomBytes(4).toString('hex')}`;
  const deps = { clock: systemClock, random: systemRandom, log: silentLog };
  const runtime = createDockerRuntime({ socketPath, ...deps });
  const image = await buildBusyboxImage(runtime, name);
  const agent = new Agent({ keepAlive: true });
  const labels = { 'gantry.test': name };
  const clear = async () => {
    const all = await runtime.list(labels);
    await Promise.all(all.map(({ id }) => runtime.remove(id)));
  };
  const specOf = (each: string) => aSpec(`${name}-${each}`, image, labels);
  return {
    runtime,
    ours: async (each) => runtime.start(await runtime.create(specOf(each))),
    async raw(each) {
      const spec = specOf(each);
      const body = containerBody(spec, { major: 1, minor: 41 });
      const answer = await post(agent, `/containers/create?name=${spec.name}`, body);
      const { Id } = JSON.parse(answer) as { Id: string };
      await post(agent, `/containers/${Id}/start`);
    },
    clear,
    async close() {
      await clear();
      await runtime.removeImage(image);
      runtime.close();
      agent.destroy();
    },
  };
}

function aSpec(name: string, image: string, labels: Record<string, string>): ContainerSpec {
  return {
    name,
    image,
    command: ['sleep', '600'],
    env: {},
    labels: { ...labels, 'gantry.job': name, 'gantry.attempt': '1' },
    network: { kind: 'none' },
    binds: [],
    memoryBytes: 32 * 1024 * 1024,
    cpuMillis: 100,
    pids: 32,
    tty: false,
    openStdin: false,
    capabilities: [],
    logMaxBytes: 1_000_000,
    logMaxFiles: 2,
  };
}

/** The least that a client of the engine can do. */
function post(agent: Agent, path: string, body?: unknown): Promise<string> {
  return new Promise((resolve, reject) => {
    const payload = body === undefined ? '' : JSON.stringify(body);
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(payload),
    };
    const options = { socketPath, agent, method: 'POST', path: `/v1.41${path}`, headers };
    const sent = request(options, (response) => {
      text(response).then((answer) => {
        if ((response.statusCode ?? 500) < 300) resolve(answer);
        else reject(new Error(`${path}: ${response.statusCode} ${answer}`));
      }, reject);
    });
    sent.once('error', reject);
    sent.end(payload);
  });
}

async function benchOverhead(bench: Bench, pairs: number): Promise<BenchResult> {
  const ours: number[] = [];
  const raw: number[] = [];
  const timed = async (start: Start, name: string) => {
    const began = performance.now();
    await start(name);
    return performance.now() - began;
  };
  await bench.raw('warm-raw');
  await bench.ours('warm-ours');
  for (let pair = 0; pair < pairs; pair++) {
    // Who goes first alternates: the second start of a pair finds warmer caches.
    const isOursFirst = pair % 2 === 0;
    if (isOursFirst) ours.push(await timed(bench.ours, `o${pair}`));
    raw.push(await timed(bench.raw, `r${pair}`));
    if (!isOursFirst) ours.push(await timed(bench.ours, `o${pair}`));
    await bench.clear();
  }
  const peer = { name: 'container-start', peer: 'raw create + start', unit: 'ms' };
  const ratio = median(ours) / median(raw);
  const limit = `p50 <= ${target.overhead}x raw create + start`;
  return result({ ...peer, target: limit, ratio, isMet: ratio <= target.overhead }, ours, raw);
}

async function benchBurst(
  bench: Bench,
  { pairs, count }: { pairs: number; count: number },
): Promise<BenchResult> {
  const cores = availableParallelism();
  const burst = async (start: Start, prefix: string, width: number) => {
    const perSecond = await rate(count, width, (number) => start(`${prefix}-${number}`));
    await bench.clear();
    return perSecond;
  };
  const widths = [cores, 2 * cores, 4 * cores];
  const trials: { width: number; perSecond: number }[] = [];
  for (const width of widths)
    trials.push({ width, perSecond: await burst(bench.raw, `t${width}`, width) });
  const best = trials.reduce((a, b) => (b.perSecond > a.perSecond ? b : a)).width;
  const ours: number[] = [];
  const raw: number[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    raw.push(await burst(bench.raw, `r${pair}`, best));
    ours.push(await burst(bench.ours, `o${pair}`, 2 * cores));
  }
  const peer = { name: 'container-burst', peer: `raw, ${best} at once`, unit: 'starts/s' };
  const ratio = median(ours.map((figure, pair) => figure / (raw[pair] ?? Number.NaN)));
  const limit = `>= ${target.burst}x the engine's best rate`;
  const note = `burst of ${count}, ours with ${2 * cores} at once; the engine's best width of ${widths.join(', ')}`;
  return {
    ...result({ ...peer, target: limit, ratio, isMet: ratio >= target.burst }, ours, raw),
    note,
  };
}

/** Runs `count` calls, `width` at once; calls a second. */
async function rate(count: number, width: number, call: (number: number) => Promise<void>) {
  let next = 0;
  const began = performance.now();
  const worker = async () => {
    while (next < count) await call(next++);
  };
  await Promise.all(Array.from({ length: width }, worker));
  return (1000 * count) / (performance.now() - began);
}

type Verdict = Pick<BenchResult, 'name' | 'peer' | 'unit' | 'target' | 'ratio' | 'isMet'>;

function result(verdict: Verdict, ours: number[], raw: number[]): BenchResult {
  const ratios = ours.map((figure, pair) => figure / (raw[pair] ?? Number.NaN));
  return {
    ...verdict,
    figure: median(ours),
    peerFigure: median(raw),
    min: Math.min(...ratios),
    max: Math.max(...ratios),
    pairs: ours.length,
  };
}

function median(figures: number[]): number {
  const sorted = [...figures].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
