// How discovery lists a running job.

import type { Instance } from '#layer0/discovery/client';
import type { Job } from '#layer0/scheduler/wire';
import { serviceOf } from '../labels.ts';
import type { JobView } from '../view.ts';
import { firstPort, fixedPorts } from './ports.ts';
import { currentContainer } from './status-of.ts';

/** Undefined while the job has no container or no address to be found at. */
export function instanceOf(
  view: JobView,
  job: Job,
  hostId: string,
): Omit<Instance, 'state'> | undefined {
  const container = currentContainer(view);
  const address =
    job.spec.network === 'host' ? '127.0.0.1' : (container?.ip ?? view.memory.attachment?.ip);
  if (!container || address === undefined) return undefined;
  const ports = { ...fixedPorts(job.spec), ...view.memory.ports };
  const service = serviceOf(job);
  return {
    id: `${job.index}.${service}`,
    service,
    job: job.id,
    address,
    port: firstPort(job.spec, ports) ?? 0,
    ports,
    host: hostId,
    createdAt: container.startedAt ?? container.createdAt,
    metadata: { app: job.app, release: job.release, type: job.type, index: String(job.index) },
  };
}
