// Who may work now, who waits, who is turned away: a fixed number at once, a queue of fixed length, first come first served.

import { coreErrors } from '#core/errors';
import { imageErrors } from './errors.ts';

export interface Admission {
  /** Resolves with the function that gives the place back. Rejects with images.busy, or core.aborted by the signal. */
  enter(signal: AbortSignal): Promise<() => void>;
  status(): { running: number; waiting: number };
}

export function createAdmission(limits: { atOnce: number; maxWaiting: number }): Admission {
  let running = 0;
  const queue: (() => void)[] = [];

  function leaveOnce(): () => void {
    let hasLeft = false;
    return () => {
      if (hasLeft) return;
      hasLeft = true;
      const next = queue.shift();
      if (next) next();
      else running--;
    };
  }

  function waitForPlace(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        queue.splice(queue.indexOf(admit), 1);
        reject(coreErrors.aborted('the work was cancelled while it waited for its turn'));
      };
      const admit = () => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      signal.addEventListener('abort', onAbort, { once: true });
      queue.push(admit);
    });
  }

  return {
    async enter(signal) {
      if (signal.aborted) throw coreErrors.aborted('the work was cancelled before it began');
      if (running < limits.atOnce) running++;
      else if (queue.length < limits.maxWaiting) await waitForPlace(signal);
      else
        throw imageErrors.busy(
          `${running} are at work and ${queue.length} wait: try again when some have ended`,
        );
      return leaveOnce();
    },
    status: () => ({ running, waiting: queue.length }),
  };
}
