// Steps into one transaction of the store. Pure. What a decision rested on and another scheduler could change at the same
// time is compared: the leadership, the job, the formation, the app's set of jobs, the host's promises.

import assert from 'node:assert/strict';
import { parser } from '#core/schema';
import { statusKey } from '#layer0/host/wire';
import type { Compare, Operation, Txn } from '#layer0/store/client';
import { maxTxnBytes, maxTxnOperations } from '#layer0/store/wire';
import type { ClusterState, KnownJob } from './cluster-state.ts';
import type { RestsOn, Step } from './decide/steps.ts';
import {
  appClaimKey,
  type Claim,
  hostClaimKey,
  type Job,
  jobKey,
  jobSchema,
  rebalanceKey,
} from './wire.ts';

const jobRecord = parser(jobSchema);
/** Room left in a transaction for the step that is added last: its own writes, claims and compares. */
const stepOperations = 10;
/** Of the store's limit, so that framing always fits. */
const fillBytes = maxTxnBytes / 2;

export interface CommitContext {
  /** Who commits: shown in claims. */
  by: string;
  fence: Compare;
  /** Whose revisions the state holds. */
  incarnation: string;
  nowMs: number;
  newJobId(): string;
}

export interface Commit {
  txn: Txn;
  steps: Step[];
}

/** Takes as many steps as one transaction holds; undefined when there is none. */
export function toCommit(
  steps: Iterable<Step>,
  state: ClusterState,
  context: CommitContext,
): Commit | undefined {
  const draft = new TxnDraft(state, context);
  const taken: Step[] = [];
  for (const step of steps) {
    draft.add(step);
    taken.push(step);
    if (draft.isFull()) break;
  }
  return taken.length > 0 ? { txn: draft.build(), steps: taken } : undefined;
}

class TxnDraft {
  readonly #state: ClusterState;
  readonly #context: CommitContext;
  /** By key: one compare and one write for each, however many steps need it. */
  readonly #compares = new Map<string, Compare>();
  readonly #operations = new Map<string, Operation>();
  #bytes = 0;

  constructor(state: ClusterState, context: CommitContext) {
    this.#state = state;
    this.#context = context;
    this.#compares.set(context.fence.key, context.fence);
  }

  isFull(): boolean {
    const count = this.#compares.size + this.#operations.size;
    return count + stepOperations > maxTxnOperations || this.#bytes > fillBytes;
  }

  build(): Txn {
    return {
      incarnation: this.#context.incarnation,
      compare: [...this.#compares.values()],
      operations: [...this.#operations.values()],
    };
  }

  add(step: Step): void {
    switch (step.kind) {
      case 'create':
        this.#create(step);
        break;
      case 'place':
        this.#place(step);
        break;
      case 'explain':
        this.#rewrite(step.jobId, { pendingReason: step.pendingReason });
        break;
      case 'rank':
        this.#rank(step);
        break;
      case 'note':
        this.#note(step);
        break;
      case 'stop':
        this.#claimApp(this.#rewrite(step.jobId, { desired: 'down' }).app);
        this.#restOn(step);
        if (step.isAsSeen) this.#restOnStatus(this.#known(step.jobId));
        break;
      case 'remove':
        this.#remove(step);
        break;
      case 'forget':
        this.#compareClaim(step.claim);
        this.#write({ delete: step.claim });
        break;
      case 'settle':
        this.#settle(step.app);
    }
  }

  #create(step: Step & { kind: 'create' }): void {
    const { newJobId, nowMs } = this.#context;
    const created: Job = { ...step.job, id: newJobId(), createdAt: nowMs };
    // A record that could not be read back would be created again, for ever.
    const job = jobRecord.parse(created, `job ${created.id}`);
    this.#write({ put: jobKey(job.id), value: job });
    this.#restOn(step);
    this.#claimApp(job.app);
    if (job.host !== undefined) this.#claimHost(job.host);
  }

  #place({ jobId, host }: Step & { kind: 'place' }): void {
    const { pendingReason: _, ...job } = this.#known(jobId).job;
    this.#compare({ key: jobKey(jobId), modRevision: this.#known(jobId).modRevision });
    this.#write({ put: jobKey(jobId), value: { ...job, host } });
    this.#claimHost(host);
    // That no other of its kind has a place is true of the app, not of one host.
    if (job.isSingleton) this.#claimApp(job.app);
  }

  /** What was decided about the job before it in this transaction goes first; the next one ranks it. */
  #rank({ jobId, priority, formation }: Step & { kind: 'rank' }): void {
    if (this.#operations.has(jobKey(jobId))) return;
    this.#rewrite(jobId, { priority });
    this.#restOn({ formation });
  }

  #note({ jobId, moveReason }: Step & { kind: 'note' }): void {
    const { job, modRevision } = this.#known(jobId);
    const { moveReason: _, ...rest } = job;
    const value: Job = moveReason === undefined ? rest : { ...rest, moveReason };
    this.#compare({ key: jobKey(jobId), modRevision });
    this.#write({ put: jobKey(jobId), value });
  }

  /** Who asks once more in between is heard. */
  #settle(app: string): void {
    const key = rebalanceKey(app);
    const modRevision = this.#state.rebalances.get(app);
    assert(modRevision !== undefined, `nobody asked for a rebalance of ${app}`);
    this.#compare({ key, modRevision });
    this.#write({ delete: key });
  }

  #remove(step: Step & { kind: 'remove' }): void {
    const { job, modRevision } = this.#known(step.jobId);
    this.#compare({ key: jobKey(step.jobId), modRevision });
    this.#write({ delete: jobKey(step.jobId) });
    this.#write({ delete: statusKey(step.jobId) });
    this.#claimApp(job.app);
    this.#restOn(step);
  }

  #rewrite(jobId: string, change: Partial<Job>): Job {
    const { job, modRevision } = this.#known(jobId);
    const changed = { ...job, ...change };
    this.#compare({ key: jobKey(jobId), modRevision });
    this.#write({ put: jobKey(jobId), value: changed });
    return changed;
  }

  /** A step is decided on this very state: a job it does not hold is a bug. */
  #known(jobId: string): KnownJob {
    const known = this.#state.jobs.get(jobId);
    assert(known, `a step names the unknown job ${jobId}`);
    return known;
  }

  #restOn({ formation, absent = [], silent }: RestsOn & { formation?: string }): void {
    if (formation !== undefined) {
      const known = this.#state.formations.get(formation);
      if (known) this.#compare({ key: formation, modRevision: known.modRevision });
      else this.#compare({ key: formation, is: 'absent' });
    }
    for (const key of absent) this.#compare({ key, is: 'absent' });
    const reports = silent === undefined ? [] : (this.#state.hosts.get(silent)?.silentBy ?? []);
    for (const report of reports) this.#compare(report);
  }

  #restOnStatus({ job, statusRevision }: KnownJob): void {
    const key = statusKey(job.id);
    if (statusRevision === undefined) this.#compare({ key, is: 'absent' });
    else this.#compare({ key, modRevision: statusRevision });
  }

  #claimApp(app: string): void {
    const key = appClaimKey(app);
    const lastEphemeralIndex = this.#state.claims.get(key)?.claim.lastEphemeralIndex;
    this.#claim(key, {
      by: this.#context.by,
      ...(lastEphemeralIndex === undefined ? {} : { lastEphemeralIndex }),
    });
  }

  #claimHost(host: string): void {
    this.#claim(hostClaimKey(host), { by: this.#context.by });
  }

  #claim(key: string, claim: Claim): void {
    this.#compareClaim(key);
    this.#write({ put: key, value: claim });
  }

  #compareClaim(key: string): void {
    const known = this.#state.claims.get(key);
    if (known) this.#compare({ key, modRevision: known.modRevision });
    else this.#compare({ key, is: 'absent' });
  }

  #compare(compare: Compare): void {
    this.#compares.set(compare.key, compare);
  }

  #write(operation: Operation): void {
    const key = 'put' in operation ? operation.put : operation.delete;
    if ('put' in operation) this.#bytes += sizeOf(operation.value);
    this.#operations.set(key, operation);
  }
}

/** Of a claim, or of the rest of a job's record: ids, names, a reason. Generously. */
const recordBytes = 1024;
/** Sizes of specs as JSON: a few serve for all jobs, and are most of their bytes. */
const specBytes = new WeakMap<object, number>();

/** About, without making text of each record. */
function sizeOf(value: unknown): number {
  const { spec, rules } = value as Partial<Job>;
  if (!spec) return recordBytes;
  let bytes = specBytes.get(spec);
  if (bytes === undefined) {
    bytes = JSON.stringify(spec).length;
    specBytes.set(spec, bytes);
  }
  return bytes + recordBytes + (rules ? JSON.stringify(rules).length : 0);
}
