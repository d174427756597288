// All machines of a cluster lose their power and get it back at once; when what they serve is there at each of them again.

import type { Machine } from '../../test/cluster/machine.ts';
import { type FirstAnswer, untilFirst200 } from './session.ts';

/** Milliseconds (of the monotonic clock) when the machines got power, and when the last engine answered. */
export interface PowerCycle {
  onMs: number;
  enginesMs: number;
}

export async function powerCycle(machines: readonly Machine[]): Promise<PowerCycle> {
  for (const machine of machines) await machine.powerOff();
  for (const machine of machines) await machine.powerOn();
  const onMs = performance.now();
  await Promise.all(machines.map((machine) => machine.startDocker()));
  return { onMs, enginesMs: performance.now() };
}

export const theApi = {
  host: 'api.gantry.localhost',
  path: '/healthz',
  expects: '"isReady":true',
};

/** Milliseconds since `startMs` until the last machine's router answers. */
export async function untilAnswersAtEach(
  machines: readonly Machine[],
  startMs: number,
  what: Pick<FirstAnswer, 'host' | 'path' | 'expects'>,
): Promise<number> {
  const answered = machines.map(({ address }) =>
    untilFirst200(startMs, { address, port: 80, ...what }),
  );
  return Math.max(...(await Promise.all(answered)));
}
