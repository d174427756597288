// The store and the hosts of a scale run, as the production schedulers meet them: transactions with compares, records that
// have been JSON on their way, hosts that report. All in one thread, so that what is measured is the scheduler.

import { hostAliveKey, hostKey, hostTagsPrefix, statusKey } from '#layer0/host/wire';
import { ClusterState } from '#layer0/scheduler/cluster-state';
import { aJob, aStatus } from '#layer0/scheduler/fake';
import { formationKey, type Job, type JobSpec, jobKey, jobPrefix } from '#layer0/scheduler/wire';
import type { Compare, Txn } from '#layer0/store/client';
import type { Workload } from './workload.ts';

export const fence: Compare = { key: 'elections/scheduler/service', createRevision: 1 };

export class ScaleCluster {
  readonly state = new ClusterState(() => 0);
  /** Jobs that were placed and whose host has not said so yet. */
  readonly #started: string[] = [];
  #revision = 1;
  #oneOffs = 0;

  constructor({ hosts, formations }: Pick<Workload, 'hosts' | 'formations'>) {
    for (const { record, tags } of hosts) {
      this.#put(hostKey(record.id), record);
      this.#put(`${hostTagsPrefix}${record.id}`, tags);
      this.#put(hostAliveKey(record.id), {});
    }
    for (const formation of formations)
      this.#put(formationKey(formation.app, formation.release), formation);
  }

  /** What a person does who runs a command. */
  request({ app, spec }: { app: string; spec: JobSpec }): void {
    const id = `job-run-${++this.#oneOffs}`;
    const named = { id, app, type: 'run', index: this.#oneOffs };
    const pendingReason = 'not looked at yet';
    this.#put(jobKey(id), aJob({ ...named, kind: 'ephemeral', spec, pendingReason }));
  }

  /** False, and nothing done, when one of the compares does not hold. */
  commit({ compare, operations }: Txn): boolean {
    if (!compare.every((one) => this.#holds(one))) return false;
    this.#revision++;
    for (const operation of operations)
      if ('delete' in operation) this.state.delete(operation.delete);
      else {
        this.#put(operation.put, operation.value);
        if (operation.put.startsWith(jobPrefix)) this.#note(operation.value as Job);
      }
    return true;
  }

  /** Hosts say of everything they were given that it runs. */
  report(): void {
    for (const id of this.#started) {
      const host = this.state.jobs.get(id)?.job.host ?? '';
      this.#put(statusKey(id), aStatus({ jobId: id, host, startedAt: this.#revision }));
    }
    this.#started.length = 0;
  }

  #note({ id, host }: Job): void {
    if (host !== undefined) this.#started.push(id);
  }

  /** Jobs by JSON, as they come from a store: nothing of them is shared with whoever wrote them. */
  #put(key: string, value: unknown): void {
    const read: unknown = key.startsWith(jobPrefix) ? JSON.parse(JSON.stringify(value)) : value;
    this.state.put({ key, value: read, modRevision: this.#revision });
  }

  #holds(compare: Compare): boolean {
    const { key } = compare;
    if (key === fence.key) return true;
    const known = this.#revisionOf(key);
    if ('is' in compare) return (known === undefined) === (compare.is === 'absent');
    return 'modRevision' in compare && compare.modRevision === known;
  }

  #revisionOf(key: string): number | undefined {
    const { jobs, claims, formations } = this.state;
    if (key.startsWith(jobPrefix)) return jobs.get(key.slice(jobPrefix.length))?.modRevision;
    return (claims.get(key) ?? formations.get(key))?.modRevision;
  }
}
