// What must hold at every moment, whatever fails. Looks at commits of the store and at what is done to containers,
// and judges by its own words, not by the code it judges.

import { hostAlivePrefix, type JobStatus, statusPrefix } from '#layer0/host/wire';
import {
  appClaimPrefix,
  type Claim,
  type Formation,
  formationKey,
  formationPrefix,
  type Job,
  jobPrefix,
} from '#layer0/scheduler/wire';
import { type App, appKey, appPrefix } from '#layer1/controller/wire';
import type { Change, Commit } from '../../src/layer0/store/ledger.ts';
import type { KeptLedger } from './kept-ledger.ts';
import { clusterId, fastestRate, type Machine, schedulerConfig } from './machine.ts';

/** A status this young may not have reached the scheduler when it decided. */
const freshMs = 500;
/** Of the simulated apps' health check. */
const startTimeoutMs = 5000;
const ranks = ['starting', 'up', 'stopping', 'down', 'failed'];

export class Broken extends Error {}

/** What is looked at: the store may be another one after a restore. */
export interface Observed {
  readonly ledger: KeptLedger;
  readonly machines: readonly Machine[];
}

interface Started {
  machine: Machine;
  atMs: number;
  wallAt: number;
  lookedMs: number;
}

export class Invariants {
  readonly #world: Observed;
  readonly #now: () => number;
  /** When each host's lease was last seen to end. */
  readonly #awaySince = new Map<string, number>();
  readonly #appAt = new Map<string, number>();
  /** Jobs that the present store ever had. */
  #known = new Set<string>();
  readonly #statusAt = new Map<string, number>();
  /** Of each container, when it was started, and how old it ever looked by a wall clock that was set since. */
  readonly #started = new Map<string, Started>();

  constructor(world: Observed, now: () => number) {
    this.#world = world;
    this.#now = now;
  }

  /** The store knows what an earlier moment knew: of nobody that he is there. */
  restored(): void {
    for (const { id } of this.#world.machines)
      if (!this.#awaySince.has(id)) this.#awaySince.set(id, this.#now());
    this.#known = new Set(this.#jobs().map(({ id }) => id));
    for (const { value } of this.#world.ledger.readRange({ prefix: appPrefix }))
      this.#appAt.set((value as App).id, this.#now());
  }

  onCommit({ changes }: Commit): void {
    this.#healthKept(changes.filter(({ key }) => key.startsWith(formationPrefix)));
    for (const change of changes) {
      const { key } = change;
      if (key.startsWith(hostAlivePrefix)) this.#alive(key.slice(hostAlivePrefix.length), change);
      else if (key.startsWith(statusPrefix)) this.#status(change);
      else if (key.startsWith(jobPrefix)) this.#job(change, changes);
      else if (key.startsWith(appPrefix)) this.#appAt.set(key.slice(appPrefix.length), this.#now());
    }
  }

  /** After a container was started: is it the only one of its job and of its address? */
  async started(machine: Machine, containerId: string): Promise<void> {
    const at = { atMs: this.#now(), wallAt: machine.wallNow };
    this.#started.set(`${machine.id}/${containerId}`, { machine, ...at, lookedMs: 0 });
    const container = await machine.runtime.inspect(containerId);
    const job = container?.labels['gantry.job'];
    for (const other of this.#world.machines)
      for (const one of await listRunning(other)) {
        if (other === machine && one.id === containerId) continue;
        if (one.labels['gantry.job'] === job)
          throw new Broken(`two containers run for ${job}: on ${machine.id} and on ${other.id}`);
        // Of a restored store nobody knows which addresses were given since.
        const isOfOther =
          one.labels['gantry.incarnation'] !== container?.labels['gantry.incarnation'];
        if (one.ip !== undefined && one.ip === container?.ip && !isOfOther)
          throw new Broken(`address ${one.ip} is used twice: by ${job} and another job`);
      }
  }

  /** Before a running container is hurt: did anybody ask for it? */
  async hurt(machine: Machine, containerId: string, how: string): Promise<void> {
    const container = (await listRunning(machine)).find(({ id }) => id === containerId);
    const jobId = container?.labels['gantry.job'];
    const job = jobId ? this.#jobOf(jobId) : undefined;
    if (container && !job) this.#mayForget(container.labels, how);
    if (!container || !job || job.desired === 'down' || job.host !== machine.id) return;
    const status = this.#statusOf(job.id);
    const isOldAttempt = Number(container.labels['gantry.attempt']) < (status?.attempt ?? 1);
    if (isOldAttempt || status?.state === 'stopping') return;
    if (this.#isGivingUp(machine, container)) return;
    throw new Broken(`${how} of a container of ${job.id}, which nobody asked to stop`);
  }

  /**
   * An attempt that does not become healthy is ended by its host; the status may still be on its way. A host that has
   * just begun has only the wall clock to go by.
   */
  #isGivingUp(
    machine: Machine,
    { id, startedAt = 0 }: { id: string; startedAt?: number },
  ): boolean {
    const now = this.#now();
    const { atMs, lookedMs } = this.#started.get(`${machine.id}/${id}`) ?? {
      atMs: now,
      lookedMs: 0,
    };
    const ageMs = Math.max(now - atMs, lookedMs, machine.wallNow - startedAt);
    return ageMs >= startTimeoutMs / fastestRate;
  }

  /** What only an earlier store knew is nobody's to end. */
  #mayForget(labels: Record<string, string>, how: string): void {
    if (this.#known.has(labels['gantry.job'] ?? '')) return;
    throw new Broken(
      `${how} of a container of ${labels['gantry.job']}: a restored store is no reason`,
    );
  }

  /** Before the wall clock is set: a host may have looked at it until now. */
  wallChanges(): void {
    for (const started of this.#started.values())
      started.lookedMs = Math.max(started.lookedMs, started.machine.wallNow - started.wallAt);
  }

  #alive(host: string, { after }: Change): void {
    if (after) this.#awaySince.delete(host);
    else this.#awaySince.set(host, this.#now());
  }

  #status({ key, before, after }: Change): void {
    if (!after) return;
    const [was, is] = [before?.value as JobStatus | undefined, after.value as JobStatus];
    if (!this.#jobOf(is.jobId)) throw new Broken(`${key} is written and has no job`);
    const statusChanged = was?.state !== is.state || was.isHealthy !== is.isHealthy;
    if (statusChanged) this.#statusAt.set(is.jobId, this.#now());
    if (!was) return;
    const isBack =
      is.attempt < was.attempt ||
      (is.attempt === was.attempt && ranks.indexOf(is.state) < ranks.indexOf(was.state));
    const isFailedThenDown = was.state === 'failed' && is.state === 'down';
    if (isBack && !isFailedThenDown)
      throw new Broken(
        `${is.jobId} went back from ${was.attempt}/${was.state} to ${is.attempt}/${is.state}`,
      );
  }

  #job(change: Change, all: Change[]): void {
    const before = change.before?.value as Job | undefined;
    const after = change.after?.value as Job | undefined;
    if (after && after.host === undefined && !after.pendingReason)
      throw new Broken(`${after.id} is pending and nobody says why`);
    if (after) this.#known.add(after.id);
    if (before && after) this.#changed(before, after, all);
    else if (after) this.#created(after);
    else if (before) this.#removed(before, all);
  }

  #created(job: Job): void {
    if (job.kind === 'ephemeral') return;
    const peers = this.#jobs().filter((one) => one.app === job.app && one.type === job.type);
    if (peers.some((one) => one.id !== job.id && one.index === job.index && one.kind === job.kind))
      throw new Broken(`number ${job.index} of ${job.type} is given twice`);
    const asked = this.#askedFor(job);
    const held = this.#live(job).filter((one) => !this.#isAway(one));
    if (held.length > asked)
      throw new Broken(`${held.length} jobs of ${job.app}/${job.release}, ${asked} are asked for`);
  }

  #changed(before: Job, after: Job, all: Change[]): void {
    if (before.desired === 'down' && after.desired === 'up')
      throw new Broken(`${after.id} was told to stop and then to run`);
    if (before.host !== undefined && before.host !== after.host)
      throw new Broken(`${after.id} moved from ${before.host} to ${after.host}`);
    const isStopped = before.desired === 'up' && after.desired === 'down';
    if (!isStopped || after.kind === 'ephemeral' || isByUser(all, after.app)) return;
    this.#stopped(after);
  }

  #stopped(job: Job): void {
    const left = this.#live(job);
    const isEnough = left.length >= this.#askedFor(job);
    if (!isEnough && !this.#isAway(job))
      throw new Broken(`${job.id} was stopped although only ${left.length} others are there`);
    if (!this.#isHealthy(job)) return;
    const sick = left.find((one) => !this.#isHealthy(one) && !this.#isFresh(one) && one.host);
    if (sick && !this.#isAway(job))
      throw new Broken(`${job.id} is healthy and was stopped, ${sick.id} is not and stays`);
  }

  #removed(job: Job, all: Change[]): void {
    if (job.host === undefined) return;
    const gone = all.find(({ key }) => key === `${statusPrefix}${job.id}`)?.before;
    const status = (gone?.value as JobStatus | undefined) ?? this.#statusOf(job.id);
    const isOver =
      status?.state === 'down' || (status?.state === 'failed' && job.spec.restart === 'never');
    if (!isOver)
      throw new Broken(`the record of ${job.id} went while its host says ${status?.state}`);
  }

  /** A rollout may not ask for fewer healthy processes than people want, where there were as many. */
  #healthKept(changes: Change[]): void {
    const key = changes[0]?.key;
    const [id = ''] = key?.slice(formationPrefix.length).split('/') ?? [];
    const entry = this.#world.ledger.read(appKey(id));
    const app = entry?.value as App | undefined;
    if (!app || app.isDeleting || this.#isJustScaled(app)) return;
    const wanted = app.quantities.web ?? 1;
    const changed = new Set(changes.map((change) => change.key));
    const rest = this.#world.ledger
      .readRange({ prefix: `${formationPrefix}${id}/` })
      .filter((formation) => !changed.has(formation.key))
      .map(({ value }) => value as Formation);
    const old = changes.flatMap(({ before }) => (before ? [before.value as Formation] : []));
    const now = changes.flatMap(({ after }) => (after ? [after.value as Formation] : []));
    const before = this.#healthyOf([...rest, ...old], { isSure: true });
    const after = this.#healthyOf([...rest, ...now], { isSure: false });
    // An app without a release that ever completed has nothing to go back to: what failed is taken down.
    if (!app.currentRelease && (before < wanted || rest.length > 0)) return;
    if (after < Math.min(wanted, before))
      throw new Broken(
        `a step of ${app.name} leaves ${after} healthy of ${wanted} wanted, there were ${before}`,
      );
  }

  #healthyOf(formations: Formation[], { isSure }: { isSure: boolean }): number {
    let total = 0;
    for (const { app, release, processes } of formations) {
      const live = this.#live({ app, release, type: 'web' });
      const counted = live.filter((job) =>
        isSure
          ? this.#isHealthy(job) && !this.#isFresh(job)
          : this.#isHealthy(job) || this.#isFresh(job),
      );
      total += Math.min(processes.web?.quantity ?? 0, counted.length);
    }
    return total;
  }

  #isJustScaled({ id }: App): boolean {
    if (this.#world.machines.some(({ faults }) => faults.isNewsLate)) return true;
    return this.#now() - (this.#appAt.get(id) ?? 0) < freshMs;
  }

  #isAway({ host }: Job): boolean {
    const since = host === undefined ? undefined : this.#awaySince.get(host);
    const graceMs = schedulerConfig.hostLossGraceMs / fastestRate;
    return since !== undefined && this.#now() - since >= graceMs;
  }

  #isHealthy({ id }: Job): boolean {
    const status = this.#statusOf(id);
    return status?.state === 'up' && status.isHealthy;
  }

  #isFresh({ id }: Job): boolean {
    if (this.#world.machines.some(({ faults }) => faults.isNewsLate)) return true;
    return this.#now() - (this.#statusAt.get(id) ?? 0) < freshMs;
  }

  #askedFor({ app, release, type }: Job): number {
    const entry = this.#world.ledger.read(formationKey(app, release));
    const process = (entry?.value as Formation | undefined)?.processes[type];
    if (process?.isOnePerHost) return process.quantity > 0 ? this.#world.machines.length : 0;
    return process?.quantity ?? 0;
  }

  /** Jobs that are meant to run, of the same release and type. */
  #live({ app, release, type }: Pick<Job, 'app' | 'release' | 'type'>): Job[] {
    return this.#jobs().filter(
      (job) =>
        job.desired === 'up' && job.app === app && job.release === release && job.type === type,
    );
  }

  #jobs(): Job[] {
    return this.#world.ledger.readRange({ prefix: jobPrefix }).map(({ value }) => value as Job);
  }

  #jobOf(id: string): Job | undefined {
    return this.#world.ledger.read(`${jobPrefix}${id}`)?.value as Job | undefined;
  }

  #statusOf(id: string): JobStatus | undefined {
    return this.#world.ledger.read(`${statusPrefix}${id}`)?.value as JobStatus | undefined;
  }
}

export async function listRunning(machine: Machine) {
  const containers = await machine.runtime.list({ 'gantry.cluster': clusterId }).catch(() => []);
  return containers.filter(({ state }) => state === 'running');
}

/** The same commit says who claimed the app. */
function isByUser(all: Change[], app: string): boolean {
  const claim = all.find(({ key }) => key === `${appClaimPrefix}${app}`)?.after?.value;
  return (claim as Claim | undefined)?.by === 'client';
}
