// When has a container ended? The engine's own wait says so at once; a look from time to time covers what it misses:
// a restart of the engine, a removal before the first start, an end between two waits.

import { text } from 'node:stream/consumers';
import type { Clock } from '#core/clock';
import { coreErrors, toAppError } from '#core/errors';
import { backoffMs } from '#core/retry';
import { engineErrors } from '../errors.ts';
import type { Container } from '../runtime.ts';
import type { EngineTransport } from './transport.ts';

/** Longest time between two looks at a container that is waited for. */
const lookAgainMs = 30_000;
/** While the engine is away. */
const engineBackoff = { minMs: 100, maxMs: 2000 };

interface WaitDeps {
  transport: EngineTransport;
  clock: Clock;
  inspect(id: string): Promise<Container | undefined>;
}

/** The exit code; rejects with engine.notFound when the container is gone, core.aborted with the signal. */
export async function waitForExit(
  deps: WaitDeps,
  id: string,
  signal: AbortSignal,
): Promise<number> {
  for (let failures = 0; ; ) {
    if (signal.aborted) throw coreErrors.aborted(`waiting for container ${id}: cancelled`);
    try {
      const code = await waitOnce(deps, id, signal);
      if (code !== undefined) return code;
      failures = 0;
    } catch (error) {
      if (signal.aborted || !toAppError(error).retry) throw error;
      failures++;
      await deps.clock.sleep(
        backoffMs(failures, engineBackoff, () => 0.5),
        signal,
      );
    }
  }
}

/** One connection's worth of waiting. The look comes after the engine has begun to wait, so no end falls between. */
async function waitOnce(
  { transport, clock, inspect }: WaitDeps,
  id: string,
  signal: AbortSignal,
): Promise<number | undefined> {
  const path = `/containers/${id}/wait`;
  const query = { condition: 'next-exit' };
  const attempt = `wait for container ${id}`;
  const response = await transport.open({ method: 'POST', path, query, attempt, signal });
  const hangUp = () => void response.destroy();
  const timer = clock.timer(lookAgainMs, hangUp);
  signal.addEventListener('abort', hangUp, { once: true });
  // The answer itself is not trusted: whatever ended the wait, the container's state is what counts.
  const ended = text(response).then(
    () => true,
    () => false,
  );
  try {
    const before = exitCodeOf(await inspect(id), id);
    if (before !== undefined) return before;
    await ended;
    if (signal.aborted) return undefined;
    return exitCodeOf(await inspect(id), id);
  } finally {
    timer.cancel();
    signal.removeEventListener('abort', hangUp);
    response.destroy();
  }
}

function exitCodeOf(container: Container | undefined, id: string): number | undefined {
  if (!container) throw engineErrors.notFound(`waiting for container ${id}: it was removed`);
  return container.state === 'exited' ? (container.exitCode ?? 0) : undefined;
}
