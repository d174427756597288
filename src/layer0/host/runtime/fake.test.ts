// Does the scripted engine keep the contract, and do its faults look like those of a real one?

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FakeClock } from '#core/fake-clock';
import { type ContractSubject, type Program, runtimeContract } from './contract.ts';
import { contractSpec } from './contract-subject.ts';
import { type Behaviour, behaviourCommand, createFakeRuntime } from './fake.ts';

function behaviourOf(program: Program): Behaviour {
  switch (program.kind) {
    case 'runs':
      return { exec: { output: 'from exec\n', exitCode: 5, forMs: 10 } };
    case 'ignoresTerm':
      return { ignoresTerm: true };
    case 'exits':
      return { runForMs: 500, exitCode: program.code };
    case 'says':
      return { stdout: program.stdout, stderr: program.stderr, runForMs: 10 };
    case 'echoes':
      return { echoes: true };
    case 'exhaustsMemory':
      return { runForMs: 1000, isOutOfMemory: true };
    case 'isMissing':
      return { runForMs: 0, exitCode: 127 };
    case 'cannotStart':
      return { startError: 'unable to find user' };
  }
}

function aSubject() {
  const clock = new FakeClock();
  const runtime = createFakeRuntime({ clock, images: ['fake:1'] });
  const subject: ContractSubject = {
    runtime,
    image: 'fake:1',
    command: (program) => behaviourCommand(behaviourOf(program)),
    name: 'contract',
    network: {
      subnet: '10.1.0.0/24',
      gateway: '10.1.0.1',
      bridge: 'gnt1',
      ip: '10.1.0.7',
      mac: '02:00:0a:01:00:07',
    },
    async settle(promise) {
      let isSettled = false;
      const mark = () => {
        isSettled = true;
      };
      promise.then(mark, mark);
      for (let steps = 0; !isSettled && steps < 1000; steps++) await clock.advance(100);
      assert.ok(isSettled, 'nothing happened in 100 s of fake time');
      return promise;
    },
    release: async () => {},
  };
  return { clock, runtime, subject };
}

runtimeContract('the scripted engine keeps the runtime contract', async () => aSubject().subject);

describe('the scripted engine', () => {
  test('a crashed engine answers nothing and its containers run on', async () => {
    const { runtime, subject } = aSubject();
    const id = await runtime.create(contractSpec(subject, 'a', { kind: 'runs' }));
    await runtime.start(id);
    const before = await runtime.inspect(id);
    runtime.crash();
    await assert.rejects(runtime.inspect(id), { code: 'engine.unavailable', retry: true });
    runtime.restart();
    assert.deepEqual(await runtime.inspect(id), before);
  });

  test('events begin again with a resync after the engine came back', async () => {
    const { runtime } = aSubject();
    const events = runtime.events({}, new AbortController().signal);
    assert.equal((await events.next()).value?.type, 'resync');
    const next = events.next();
    runtime.crash();
    runtime.restart();
    assert.equal((await next).value?.type, 'resync');
    await events.return(undefined);
  });

  test('a wait outlives a crash of the engine and hears of an end that happened meanwhile', async () => {
    const { runtime, subject } = aSubject();
    const id = await runtime.create(contractSpec(subject, 'a', { kind: 'runs' }));
    await runtime.start(id);
    const waiting = runtime.wait(id, new AbortController().signal);
    runtime.crash();
    runtime.exit(id, 9);
    runtime.restart();
    assert.equal(await waiting, 9);
  });

  test('a power cut ends every container', async () => {
    const { runtime, subject } = aSubject();
    const id = await runtime.create(contractSpec(subject, 'a', { kind: 'runs' }));
    await runtime.start(id);
    runtime.powerOff();
    runtime.restart();
    assert.equal((await runtime.inspect(id))?.exitCode, 255);
  });

  test('health follows the script and the clock', async () => {
    const clock = new FakeClock();
    const script = () => ({ healthyAfterMs: 500, startMs: 100 });
    const runtime = createFakeRuntime({ clock, script, images: ['fake:1'] });
    const { subject } = aSubject();
    const id = await runtime.create(contractSpec(subject, 'a', { kind: 'runs' }));
    const starting = runtime.start(id);
    assert.equal((await runtime.inspect(id))?.state, 'created');
    await clock.advance(100);
    await starting;
    assert.equal(runtime.isHealthy(id), false);
    await clock.advance(500);
    assert.equal(runtime.isHealthy(id), true);
  });
});
