// What every Runtime does, as tests: run against the scripted engine in the unit tests and against Docker in test/.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { registerImageContract } from './contract-images.ts';
import { type ContractSubject, contractSpec, type Program } from './contract-subject.ts';
import { demultiplex } from './docker/frames.ts';
import type { EngineEvent } from './runtime.ts';

export type { ContractSubject, Program } from './contract-subject.ts';
export { tarOf } from './contract-subject.ts';

export function runtimeContract(title: string, make: () => Promise<ContractSubject>): void {
  describe(title, () => {
    let subject: ContractSubject;
    before(async () => {
      subject = await make();
    });
    after(async () => {
      await subject?.release();
    });
    const get = () => subject;
    registerLifeContract(get);
    registerStreamContract(get);
    registerWatchContract(get);
    registerImageContract(get);
  });
}

const unaborted = () => new AbortController().signal;

async function started(subject: ContractSubject, name: string, program: Program): Promise<string> {
  const id = await subject.runtime.create(contractSpec(subject, name, program));
  await subject.settle(subject.runtime.start(id));
  return id;
}

function registerLifeContract(get: () => ContractSubject): void {
  test('creating the same job and attempt again answers the same container', async () => {
    const { runtime } = get();
    const spec = contractSpec(get(), 'again', { kind: 'runs' });
    const ids = await Promise.all([runtime.create(spec), runtime.create(spec)]);
    assert.equal(ids[0], ids[1]);
    assert.equal(await runtime.create(spec), ids[0]);
    assert.equal((await runtime.inspect(ids[0]))?.state, 'created');
  });

  test('a name that another attempt holds is a conflict', async () => {
    const spec = contractSpec(get(), 'taken', { kind: 'runs' });
    await get().runtime.create(spec);
    const other = { ...spec, labels: { ...spec.labels, 'gantry.attempt': '2' } };
    await assert.rejects(get().runtime.create(other), { code: 'engine.conflict' });
  });

  test('an image that is not there is said to be missing', async () => {
    const spec = { ...contractSpec(get(), 'no-image', { kind: 'runs' }), image: 'not-here:1' };
    await assert.rejects(get().runtime.create(spec), { code: 'engine.imageMissing' });
  });

  test('a container runs, is found by its labels, and starting it twice is no error', async () => {
    const { runtime, name } = get();
    const id = await started(get(), 'runs', { kind: 'runs' });
    await runtime.start(id);
    const labels = { 'gantry.test': name, 'gantry.job': 'runs' };
    const [found, ...rest] = await runtime.list(labels);
    assert.equal(rest.length, 0);
    assert.equal(found?.id, id);
    assert.equal(found?.state, 'running');
    assert.equal(found?.labels['gantry.attempt'], '1');
    assert.ok((found?.startedAt ?? 0) > 0);
    assert.equal(found?.finishedAt, undefined);
  });

  test('waiting answers the exit code, also when the container has long ended', async () => {
    const { runtime, settle } = get();
    const id = await started(get(), 'exits', { kind: 'exits', code: 7 });
    assert.equal(await settle(runtime.wait(id, unaborted())), 7);
    assert.equal(await runtime.wait(id, unaborted()), 7);
    const ended = await runtime.inspect(id);
    assert.equal(ended?.state, 'exited');
    assert.equal(ended?.exitCode, 7);
    assert.ok((ended?.finishedAt ?? 0) >= (ended?.startedAt ?? 1));
  });

  test('waiting that began before the start still ends with the exit', async () => {
    const { runtime, settle } = get();
    const spec = contractSpec(get(), 'wait-first', { kind: 'exits', code: 3 });
    const id = await runtime.create(spec);
    const waiting = runtime.wait(id, unaborted());
    await settle(runtime.start(id));
    assert.equal(await settle(waiting), 3);
  });

  test('waiting is cancelled by its signal', async () => {
    const id = await started(get(), 'cancelled', { kind: 'runs' });
    const abort = new AbortController();
    const waiting = get().runtime.wait(id, abort.signal);
    abort.abort();
    await assert.rejects(waiting, { code: 'core.aborted' });
  });

  test('a user that does not exist is a start that failed', async () => {
    const spec = contractSpec(get(), 'cannot-start', { kind: 'cannotStart' });
    const id = await get().runtime.create({ ...spec, user: 'no-such-user' });
    await assert.rejects(get().settle(get().runtime.start(id)), { code: 'engine.startFailed' });
    assert.equal((await get().runtime.inspect(id))?.startedAt, undefined);
  });

  test('a program that does not exist ends with 127: the init process of the container starts', async () => {
    const id = await started(get(), 'missing', { kind: 'isMissing' });
    assert.equal(await get().settle(get().runtime.wait(id, unaborted())), 127);
  });

  test('SIGTERM ends a program; a container that does not run takes any signal without error', async () => {
    const { runtime, settle } = get();
    const id = await started(get(), 'term', { kind: 'runs' });
    await runtime.signal(id, 'SIGTERM');
    assert.equal(await settle(runtime.wait(id, unaborted())), 143);
    await runtime.signal(id, 'SIGTERM');
    await runtime.signal('0123456789ab', 'SIGTERM');
  });

  test('removal kills what ignores SIGTERM, and removing what is absent is no error', async () => {
    const { runtime } = get();
    const id = await started(get(), 'removed', { kind: 'ignoresTerm' });
    await runtime.signal(id, 'SIGTERM');
    assert.equal((await runtime.inspect(id))?.state, 'running');
    await runtime.remove(id);
    assert.equal(await runtime.inspect(id), undefined);
    await runtime.remove(id);
    await assert.rejects(runtime.wait(id, unaborted()), { code: 'engine.notFound' });
    await assert.rejects(runtime.start(id), { code: 'engine.notFound' });
  });

  test('running out of memory is told apart from other ends', async () => {
    const { runtime, settle } = get();
    const id = await started(get(), 'memory', { kind: 'exhaustsMemory' });
    assert.equal(await settle(runtime.wait(id, unaborted())), 137);
    assert.equal((await runtime.inspect(id))?.isOutOfMemory, true);
  });

  test('a container has its fixed address in its network; two at once do not', async () => {
    const { runtime, network, name, settle } = get();
    const { ip, mac, ...wanted } = network;
    const made = { ...wanted, name: `${name}-net`, labels: { 'gantry.test': name }, mtu: 1450 };
    await Promise.all([runtime.ensureNetwork(made), runtime.ensureNetwork(made)]);
    const { mtu: _mtu, ...expected } = made;
    assert.deepEqual(await runtime.listNetworks({ 'gantry.test': name }), [expected]);
    const app = { kind: 'app', name: made.name, ip, mac } as const;
    const first = { ...contractSpec(get(), 'address', { kind: 'runs' }), network: app };
    const id = await runtime.create(first);
    await settle(runtime.start(id));
    assert.equal((await runtime.inspect(id))?.ip, ip);
    const second = { ...contractSpec(get(), 'address-2', { kind: 'runs' }), network: app };
    const other = await runtime.create(second);
    await assert.rejects(settle(runtime.start(other)), { code: 'engine.startFailed' });
    await assert.rejects(runtime.removeNetwork(made.name), { code: 'engine.conflict' });
    await runtime.remove(id);
    await runtime.remove(other);
    await runtime.removeNetwork(made.name);
    await runtime.removeNetwork(made.name);
    assert.deepEqual(await runtime.listNetworks({ 'gantry.test': name }), []);
  });
}

function registerStreamContract(get: () => ContractSubject): void {
  test('attach with the log gives both streams of a program that has ended', async () => {
    const { runtime, settle } = get();
    const says = { kind: 'says', stdout: 'out\n', stderr: 'err\n' } as const;
    const id = await started(get(), 'says', says);
    await settle(runtime.wait(id, unaborted()));
    const streams = { stdin: false, stdout: true, stderr: true, logs: true };
    const socket = await runtime.attach(id, streams);
    assert.deepEqual(await settle(readFrames(socket)), { stdout: 'out\n', stderr: 'err\n' });
  });

  test('attach without the log to what has ended is refused, not left hanging', async () => {
    const { runtime, settle } = get();
    const id = await started(get(), 'over', { kind: 'exits', code: 0 });
    await settle(runtime.wait(id, unaborted()));
    const streams = { stdin: false, stdout: true, stderr: true, logs: false };
    await assert.rejects(runtime.attach(id, streams), { code: 'engine.conflict' });
  });

  test('attach before the start passes stdin on, and ending it ends the program', async () => {
    const { runtime, settle } = get();
    const id = await runtime.create(contractSpec(get(), 'echoes', { kind: 'echoes' }));
    const streams = { stdin: true, stdout: true, stderr: true, logs: false };
    const socket = await runtime.attach(id, streams);
    await settle(runtime.start(id));
    socket.end('one line\n');
    assert.deepEqual(await settle(readFrames(socket)), { stdout: 'one line\n', stderr: '' });
    assert.equal(await settle(runtime.wait(id, unaborted())), 0);
  });

  test('exec runs beside the process and has an exit code of its own', async () => {
    const { runtime, settle } = get();
    const id = await started(get(), 'exec', { kind: 'runs' });
    const options = { command: ['sh', '-c', 'echo from $WHERE; exit 5'], env: { WHERE: 'exec' } };
    const { execId, socket } = await runtime.exec(id, { ...options, tty: false });
    assert.equal((await settle(readFrames(socket))).stdout, 'from exec\n');
    assert.equal(await settle(runtime.execExitCode(execId)), 5);
    assert.equal((await runtime.inspect(id))?.state, 'running');
  });

  test('a container has a log file below the data root', async () => {
    const { runtime } = get();
    const id = await started(get(), 'log', { kind: 'runs' });
    const { dataRoot } = await runtime.info();
    assert.ok((await runtime.inspect(id))?.logPath?.startsWith(`${dataRoot}/`));
  });
}

async function readFrames(socket: AsyncIterable<Uint8Array>) {
  const seen = { stdin: '', stdout: '', stderr: '' };
  for await (const { stream, data } of demultiplex(socket)) seen[stream] += data.toString();
  return { stdout: seen.stdout, stderr: seen.stderr };
}

function registerWatchContract(get: () => ContractSubject): void {
  test('events begin with a resync and then tell of starts, ends and removals in order', async () => {
    const { runtime, name, settle } = get();
    const abort = new AbortController();
    const labels = { 'gantry.test': name, 'gantry.job': 'watched' };
    const events = runtime.events(labels, abort.signal);
    assert.deepEqual(await next(events), { type: 'resync' });
    const id = await started(get(), 'watched', { kind: 'exits', code: 0 });
    await started(get(), 'unwatched', { kind: 'exits', code: 0 });
    await settle(runtime.wait(id, unaborted()));
    await runtime.remove(id);
    const actions: string[] = [];
    for (let count = 0; count < 3; count++) {
      const event = await settle(next(events));
      assert.ok(event?.type === 'container');
      assert.equal(event.id, id);
      assert.equal(event.labels['gantry.job'], 'watched');
      actions.push(event.action);
    }
    assert.deepEqual(actions, ['start', 'die', 'destroy']);
    const last = next(events);
    abort.abort();
    assert.equal(await settle(last), undefined);
  });
}

async function next(events: AsyncGenerator<EngineEvent>): Promise<EngineEvent | undefined> {
  const step = await events.next();
  return step.done ? undefined : step.value;
}
