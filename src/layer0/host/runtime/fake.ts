// The container engine as a script: containers are records, time is the injected clock's, nothing is random.
// Passes the same contract as Docker; light enough for thousands of simulated runs.

import { createHash } from 'node:crypto';
import { Duplex } from 'node:stream';
import type { Clock } from '#core/clock';
import { coreErrors } from '#core/errors';
import { AsyncQueue } from '#core/stream';
import { parseReference } from '#layer0/images/client';
import type { Image } from '#layer0/images/wire';
import { encodeFrame } from './docker/frames.ts';
import { engineErrors } from './errors.ts';
import { type Script, scriptByCommand } from './fake-behaviour.ts';
import { FakeImages } from './fake-images.ts';
import { FakeProcess } from './fake-process.ts';
import { type EngineEvent, isSameAttempt, type Network, type Runtime } from './runtime.ts';

export type { Behaviour, Script } from './fake-behaviour.ts';
export { behaviourCommand, scriptByCommand } from './fake-behaviour.ts';

export interface FakeRuntimeOptions {
  clock: Clock;
  /** How each container behaves; without it, `behaviourCommand` decides and anything else runs for ever. */
  script?: Script;
  /** Names of images that are on the machine from the start. */
  images?: string[];
}

export interface FakeRuntime extends Runtime {
  /** The engine dies; containers run on. Every call is engine.unavailable until `restart`. */
  crash(): void;
  restart(): void;
  /** The machine loses power: the engine is gone and every container has ended. */
  powerOff(): void;
  /** These two also work while the engine is away: the next look finds the container ended. */
  exit(id: string, code: number): void;
  killByMemory(id: string): void;
  /** What a health check of this container would find. */
  isHealthy(id: string): boolean;
  /** The running container that answers on this address. */
  containerAt(ip: string): string | undefined;
  addImage(image: Partial<Image>, reference?: string): Image;
}

/** Events that a subscriber may leave unread. */
const maxUnreadEvents = 100_000;

interface World {
  clock: Clock;
  script: Script;
  images: FakeImages;
  containers: Map<string, FakeProcess>;
  networks: Map<string, Network>;
  execs: Map<string, Promise<number>>;
  subscribers: Map<AsyncQueue<EngineEvent>, Record<string, string>>;
  /** Called after every change: waiters look again. */
  watchers: Set<() => void>;
  isUp: boolean;
  made: number;
}

export function createFakeRuntime(options: FakeRuntimeOptions): FakeRuntime {
  const { clock } = options;
  const world: World = {
    clock,
    script: options.script ?? scriptByCommand,
    images: new FakeImages(clock),
    containers: new Map(),
    networks: new Map(),
    execs: new Map(),
    subscribers: new Map(),
    watchers: new Set(),
    isUp: true,
    made: 0,
  };
  for (const name of options.images ?? []) world.images.add({}, name);
  return {
    async info() {
      demandUp(world, 'ask the engine about itself');
      const memoryBytes = 16 * 1024 ** 3;
      return { version: 'fake', apiVersion: '1.41', dataRoot: '/fake', memoryBytes, cpus: 4 };
    },
    ...containerCalls(world),
    ...streamCalls(world),
    ...networkCalls(world),
    ...imageCalls(world),
    ...worldControls(world),
  };
}

function worldControls(world: World) {
  const crash = () => {
    world.isUp = false;
    for (const queue of world.subscribers.keys()) queue.close();
    changed(world);
  };
  return {
    crash,
    restart() {
      world.isUp = true;
      changed(world);
    },
    powerOff() {
      crash();
      for (const process of world.containers.values()) process.exit(255);
    },
    exit: (id: string, code: number) => world.containers.get(id)?.exit(code),
    killByMemory: (id: string) => world.containers.get(id)?.killByMemory(),
    isHealthy: (id: string) => world.containers.get(id)?.isHealthy ?? false,
    containerAt: (ip: string) => holderOf(world, ip)?.id,
    addImage: (image: Partial<Image>, reference?: string) => world.images.add(image, reference),
  };
}

function containerCalls(world: World) {
  const list: Runtime['list'] = async (labels) => {
    demandUp(world, 'list containers');
    const all = [...world.containers.values()].map((process) => process.describe());
    return all.filter((container) => hasLabels(container.labels, labels));
  };
  const begin = async (id: string, process: FakeProcess, attempt: string) => {
    if (process.behaviour.startMs) await world.clock.sleep(process.behaviour.startMs);
    demandUp(world, attempt);
    if (!world.containers.has(id)) find(world, id, attempt);
    const { network } = process.spec;
    const holder = network.kind === 'app' ? holderOf(world, network.ip) : undefined;
    const fault = holder ? 'Address already in use' : process.behaviour.startError;
    if (fault !== undefined) throw engineErrors.startFailed(`could not ${attempt}: ${fault}`);
    if ((process.state as string) !== 'running') process.start();
  };
  const start: Runtime['start'] = async (id) => {
    const attempt = `start container ${id}`;
    const process = find(world, id, attempt);
    if (process.state === 'running') return;
    // As the engine's lock does: a second start waits for the first, and finds it running.
    process.starting ??= begin(id, process, attempt).finally(() => {
      process.starting = undefined;
    });
    await process.starting;
  };
  return {
    list,
    inspect: (async (id) => {
      demandUp(world, `inspect container ${id}`);
      return world.containers.get(id)?.describe();
    }) satisfies Runtime['inspect'],
    create: (async (spec) => createContainer(world, spec)) satisfies Runtime['create'],
    start,
    signal: (async (id, name) => {
      demandUp(world, `send ${name} to container ${id}`);
      world.containers.get(id)?.signal(name);
    }) satisfies Runtime['signal'],
    remove: (async (id) => {
      demandUp(world, `remove container ${id}`);
      const process = world.containers.get(id);
      if (!process) return;
      process.signal('SIGKILL');
      world.containers.delete(id);
      publish(world, process, 'destroy');
    }) satisfies Runtime['remove'],
    wait: ((id, signal) => waitForExit(world, id, signal)) satisfies Runtime['wait'],
    events: (labels: Record<string, string>, signal: AbortSignal) => events(world, labels, signal),
  };
}

async function createContainer(world: World, spec: Parameters<Runtime['create']>[0]) {
  const attempt = `create container ${spec.name}`;
  demandUp(world, attempt);
  const image = world.images.find(spec.image);
  if (!image)
    throw engineErrors.imageMissing(
      `could not ${attempt}: image ${spec.image} is not on this machine`,
    );
  const other = [...world.containers.values()].find(({ spec: { name } }) => name === spec.name);
  if (other && isSameAttempt(other.spec.labels, spec.labels)) return other.id;
  if (other)
    throw engineErrors.conflict(
      `could not ${attempt}: ${other.id.slice(0, 12)} has that name and is not of this job and attempt: remove it`,
    );
  if (spec.network.kind === 'app' && !world.networks.has(spec.network.name))
    throw engineErrors.notFound(`could not ${attempt}: network ${spec.network.name} not found`);
  const id = createHash('sha256')
    .update(`container ${world.made++}`)
    .digest('hex');
  const made = { id, imageId: image.id, spec, behaviour: world.script(spec) };
  const process = new FakeProcess(made, world.clock, (changedProcess, action) =>
    publish(world, changedProcess, action),
  );
  world.containers.set(id, process);
  return id;
}

async function waitForExit(world: World, id: string, signal: AbortSignal): Promise<number> {
  for (;;) {
    if (signal.aborted) throw coreErrors.aborted(`waiting for container ${id}: cancelled`);
    if (world.isUp) {
      const container = world.containers.get(id)?.describe();
      if (!container) throw engineErrors.notFound(`waiting for container ${id}: it was removed`);
      if (container.state === 'exited') return container.exitCode ?? 0;
    }
    await nextChange(world, signal);
  }
}

function streamCalls(world: World) {
  return {
    attach: (async (id, streams) => {
      const attempt = `attach to container ${id}`;
      const process = find(world, id, attempt);
      if (process.state !== 'exited' || streams.logs) return process.attach(streams);
      throw engineErrors.conflict(`could not ${attempt}: it has ended; ask for its log instead`);
    }) satisfies Runtime['attach'],
    exec: (async (id, options) => {
      const attempt = `run ${options.command[0] ?? 'a command'} in container ${id}`;
      const process = find(world, id, attempt);
      if (process.state !== 'running')
        throw engineErrors.conflict(`could not ${attempt}: it is not running`);
      const { output = '', exitCode = 0, forMs } = process.behaviour.exec ?? {};
      const execId = `exec-${world.made++}`;
      const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
      const end = async () => {
        if (forMs) await world.clock.sleep(forMs);
        const data = Buffer.from(output);
        if (data.length > 0) socket.push(options.tty ? data : encodeFrame('stdout', data));
        socket.push(null);
        return exitCode;
      };
      world.execs.set(execId, end());
      return { execId, socket };
    }) satisfies Runtime['exec'],
    execExitCode: (async (execId) => {
      const attempt = `read the exit code of exec ${execId}`;
      demandUp(world, attempt);
      const code = world.execs.get(execId);
      if (code === undefined) throw engineErrors.notFound(`could not ${attempt}: no such exec`);
      return await code;
    }) satisfies Runtime['execExitCode'],
    resize: (async () => demandUp(world, 'resize a terminal')) satisfies Runtime['resize'],
  };
}

function networkCalls(world: World) {
  return {
    ensureNetwork: (async ({ mtu: _mtu, reachableFrom: _from, ...wanted }) => {
      const attempt = `create network ${wanted.name}`;
      demandUp(world, attempt);
      const existing = world.networks.get(wanted.name);
      if (!existing) world.networks.set(wanted.name, wanted);
      else if (existing.subnet !== wanted.subnet || existing.gateway !== wanted.gateway)
        throw engineErrors.conflict(`could not ${attempt}: one of that name is different`);
    }) satisfies Runtime['ensureNetwork'],
    listNetworks: (async (labels) => {
      demandUp(world, 'list networks');
      return [...world.networks.values()].filter((network) => hasLabels(network.labels, labels));
    }) satisfies Runtime['listNetworks'],
    removeNetwork: (async (name) => {
      demandUp(world, `remove network ${name}`);
      const isUsed = [...world.containers.values()].some(
        ({ spec: { network }, state }) =>
          network.kind === 'app' && network.name === name && state === 'running',
      );
      if (isUsed)
        throw engineErrors.conflict(`could not remove network ${name}: containers are still on it`);
      world.networks.delete(name);
    }) satisfies Runtime['removeNetwork'],
  };
}

function imageCalls(world: World) {
  const { images } = world;
  return {
    image: (async (reference) => {
      demandUp(world, `inspect image ${reference}`);
      return images.find(reference);
    }) satisfies Runtime['image'],
    images: (async () => {
      demandUp(world, 'list images');
      return images.list();
    }) satisfies Runtime['images'],
    load: (async (tar) => {
      demandUp(world, 'load an image');
      return await images.load(tar);
    }) satisfies Runtime['load'],
    build: async function* (tar, options, signal) {
      demandUp(world, `build ${options.tag}`);
      yield* images.build(tar, options, signal);
    } satisfies Runtime['build'],
    commit: (async (id, { tag, ...config }) => {
      parseReference(tag);
      find(world, id, `commit container ${id}`);
      const { env: _env, ...rest } = config;
      return images.add(rest, tag);
    }) satisfies Runtime['commit'],
    save: (async (reference) => {
      demandUp(world, `save image ${reference}`);
      return images.save(reference);
    }) satisfies Runtime['save'],
    tag: (async (id, reference) => {
      demandUp(world, `tag image ${id}`);
      images.tag(id, reference);
    }) satisfies Runtime['tag'],
    removeImage: (async (reference) => {
      demandUp(world, `remove image ${reference}`);
      const image = images.find(reference);
      if (!image) return true;
      if ([...world.containers.values()].some(({ imageId }) => imageId === image.id)) return false;
      images.remove(image.id);
      return true;
    }) satisfies Runtime['removeImage'],
  };
}

async function* events(world: World, labels: Record<string, string>, signal: AbortSignal) {
  while (!signal.aborted) {
    if (world.isUp) {
      const queue = new AsyncQueue<EngineEvent>(maxUnreadEvents);
      const close = () => queue.close();
      world.subscribers.set(queue, labels);
      signal.addEventListener('abort', close, { once: true });
      try {
        yield { type: 'resync' } as const;
        yield* queue;
      } finally {
        world.subscribers.delete(queue);
        signal.removeEventListener('abort', close);
      }
    }
    if (!world.isUp && !signal.aborted) await nextChange(world, signal);
  }
}

function publish(world: World, process: FakeProcess, action: 'start' | 'die' | 'destroy' | 'oom') {
  const { id, spec } = process;
  for (const [queue, labels] of world.subscribers)
    if (hasLabels(spec.labels, labels))
      queue.push({ type: 'container', action, id, labels: { ...spec.labels } });
  changed(world);
}

function changed(world: World): void {
  for (const watcher of [...world.watchers]) watcher();
}

/** Resolves at the next change of anything, or when the signal fires. */
function nextChange(world: World, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      world.watchers.delete(done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    world.watchers.add(done);
    signal.addEventListener('abort', done, { once: true });
  });
}

function demandUp(world: World, attempt: string): void {
  if (world.isUp) return;
  throw engineErrors.unavailable(`could not ${attempt}: the container engine does not answer`);
}

function find(world: World, id: string, attempt: string): FakeProcess {
  demandUp(world, attempt);
  const process = world.containers.get(id);
  if (process) return process;
  throw engineErrors.notFound(`could not ${attempt}: there is no container ${id}`);
}

function holderOf(world: World, ip: string): FakeProcess | undefined {
  for (const process of world.containers.values()) {
    const { network } = process.spec;
    if (process.state === 'running' && network.kind === 'app' && network.ip === ip) return process;
  }
  return undefined;
}

function hasLabels(labels: Record<string, string>, wanted: Record<string, string>): boolean {
  return Object.entries(wanted).every(([name, value]) => labels[name] === value);
}
