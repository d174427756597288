// Builds the next status of a job out of the last one: only what changed is named by the caller.

import { attemptOf } from '../labels.ts';
import type { Container } from '../runtime/runtime.ts';
import type { Step } from '../steps.ts';
import type { JobView } from '../view.ts';
import type { JobStatus } from '../wire.ts';

type Change = Partial<Omit<JobStatus, 'jobId' | 'host' | 'updatedAt'>> & {
  state: JobStatus['state'];
};

/** The attempt that is current: a container may know of a later one than the status that was written last. */
export function currentAttempt(view: JobView): number {
  const newest = view.containers.at(-1);
  return Math.max(view.status?.attempt ?? 1, newest ? attemptOf(newest) : 1);
}

export function currentContainer(view: JobView): Container | undefined {
  const attempt = currentAttempt(view);
  return view.containers.findLast((container) => attemptOf(container) === attempt);
}

/** A status of the current attempt: what it keeps from the last one of the same attempt, and the change. */
export function statusWith(view: JobView, change: Change, now: { hostId: string; now: number }) {
  const attempt = change.attempt ?? currentAttempt(view);
  const last = view.status?.attempt === attempt ? view.status : undefined;
  const container = view.containers.findLast((one) => attemptOf(one) === attempt);
  const { memory } = view;
  const address =
    view.job?.spec.network === 'host' ? '127.0.0.1' : (container?.ip ?? memory.attachment?.ip);
  const restarts = change.restarts ?? view.status?.restarts;
  const status: JobStatus = {
    ...definedOf({
      containerId: container?.id ?? last?.containerId,
      address: address ?? last?.address,
      startedAt: container?.startedAt ?? last?.startedAt,
      exitCode: last?.exitCode,
      isOutOfMemory: last?.isOutOfMemory,
      endedAt: last?.endedAt,
      restarts,
    }),
    isHealthy: false,
    ports: memory.ports ?? last?.ports ?? {},
    ...change,
    jobId: view.jobId,
    host: now.hostId,
    attempt,
    updatedAt: now.now,
  };
  return status;
}

/** One writeStatus step, or none when the last status says the same. */
export function sayStatus(view: JobView, status: JobStatus): Step[] {
  return isSameStatus(view.status, status) ? [] : [{ kind: 'writeStatus', status }];
}

export function isSameStatus(a: JobStatus | undefined, b: JobStatus): boolean {
  return a !== undefined && fingerprint(a) === fingerprint(b);
}

function fingerprint(status: JobStatus): string {
  return JSON.stringify(
    Object.entries(status)
      .filter(([name, value]) => name !== 'updatedAt' && value !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => [name, name === 'ports' ? Object.entries(value).sort() : value]),
  );
}

function definedOf<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, part]) => part !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
