// The container engine as one process reaches it: calls that fail or whose answer is lost, events that do not arrive.
// It also sees what is done to containers, for the invariants.

import { coreErrors } from '#core/errors';
import { engineErrors } from '../../src/layer0/host/runtime/errors.ts';
import type { FakeRuntime } from '../../src/layer0/host/runtime/fake.ts';
import type { EngineEvent, Runtime } from '../../src/layer0/host/runtime/runtime.ts';
import type { Faults } from './faults.ts';
import type { Life } from './life.ts';

export interface EngineWatch {
  started(containerId: string): Promise<void>;
  signalled(containerId: string, signal: string): Promise<void>;
  removed(containerId: string): Promise<void>;
}

export interface EngineDoorOptions {
  runtime: FakeRuntime;
  life: Life;
  faults: Faults;
  watch: EngineWatch;
}

export function engineDoor({ runtime, life, faults, watch }: EngineDoorOptions): Runtime {
  const door =
    <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
    (...args: A): Promise<R> =>
      life.outside(async () => {
        const fault = faults.draw();
        if (fault === 'slow') await life.clock.sleep(faults.delayMs());
        if (fault === 'refuse') throw engineErrors.unavailable('the engine does not answer');
        const answer = await call(...args);
        if (fault === 'repeat') return await call(...args);
        if (fault === 'lose' || fault === 'late')
          throw coreErrors.timeout('the answer of the engine was lost');
        return answer;
      });
  return {
    ...runtime,
    info: door(runtime.info),
    list: door(runtime.list),
    inspect: door(runtime.inspect),
    create: door(runtime.create),
    start: door(async (id) => {
      await runtime.start(id);
      await watch.started(id);
    }),
    signal: door(async (id, signal) => {
      await watch.signalled(id, signal);
      await runtime.signal(id, signal);
    }),
    remove: door(async (id) => {
      await watch.removed(id);
      await runtime.remove(id);
    }),
    wait: door(runtime.wait),
    ensureNetwork: door(runtime.ensureNetwork),
    listNetworks: door(runtime.listNetworks),
    removeNetwork: door(runtime.removeNetwork),
    image: door(runtime.image),
    images: door(runtime.images),
    removeImage: door(runtime.removeImage),
    events: (labels, signal) => events(labels, signal),
  };

  async function* events(
    labels: Record<string, string>,
    signal: AbortSignal,
  ): AsyncGenerator<EngineEvent> {
    const either = AbortSignal.any([signal, life.ended]);
    for await (const event of runtime.events(labels, either)) {
      if (!life.isAlive) break;
      if (event.type === 'container' && faults.drops()) continue;
      await life.awake();
      yield event;
    }
    if (!life.isAlive) await new Promise(() => {});
  }
}
