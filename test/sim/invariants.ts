// What must hold at every moment, whatever fails. Looks at commits of the store and at what is done to containers,
// and judges by its own words, not by the code it judges.

import {
  type HostDrain,
  type HostSilent,
  hostAlivePrefix,
  hostDrainKey,
  hostDrainPrefix,
  hostKey,
  hostPrefix,
  hostSilentPrefix,
  type JobStatus,
  statusPrefix,
} from '#layer0/host/wire';
import { removedKey } from '#layer0/membership/wire';
import {
  appClaimPrefix,
  type Claim,
  type Formation,
  formationKey,
  formationPrefix,
  type Job,
  jobPrefix,
  rebalanceKey,
} from '#layer0/scheduler/wire';
import { type App, appKey, appPrefix } from '#layer1/controller/wire';
import type { Change, Commit } from '../../src/layer0/store/ledger.ts';
import type { Hearing } from './hearing.ts';
import { freshMs } from './hearing.ts';
import type { KeptLedger } from './kept-ledger.ts';
import { clusterId, fastestRate, type Machine, schedulerConfig } from './machine.ts';

/** Of the simulated apps' health check. */
const startTimeoutMs = 5000;
const ranks = ['starting', 'up', 'stopping', 'down', 'failed'];

export class Broken extends Error {}

/** What is looked at: the store may be another one after a restore. */
export interface Observed {
  readonly ledger: KeptLedger;
  readonly machines: readonly Machine[];
  readonly hearing: Pick<Hearing, 'isLate'>;
}

/** Who decides what: names of elections. */
const serviceScheduler = 'scheduler/service';
const deployments = 'controller/deployments';

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
  /** Jobs that the present store ever had, as they were last. */
  #known = new Map<string, Job>();
  /** Jobs that an earlier store told to stop: a host may do so before it hears of the restore. */
  readonly #givenUp = new Set<string>();
  /** When the drain of each host began or ended. */
  readonly #drainAt = new Map<string, number>();
  /** When somebody last asked for it, or it was done. */
  readonly #rebalanceAt = new Map<string, number>();
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
    for (const [id, { desired }] of this.#known) if (desired === 'down') this.#givenUp.add(id);
    this.#known = new Map(this.#jobs().map((job) => [job.id, job]));
    for (const { id } of this.#world.machines) this.#drainAt.set(id, this.#now());
    for (const { value } of this.#world.ledger.readRange({ prefix: appPrefix }))
      this.#appAt.set((value as App).id, this.#now());
  }

  onCommit({ changes }: Commit): void {
    this.#healthKept(changes.filter(({ key }) => key.startsWith(formationPrefix)));
    for (const change of changes) {
      const { key } = change;
      if (key.startsWith(hostAlivePrefix)) this.#alive(key.slice(hostAlivePrefix.length), change);
      else if (key.startsWith(statusPrefix)) this.#status(change);
      else if (key.startsWith(hostPrefix)) this.#registered(key.slice(hostPrefix.length), change);
      else if (key.startsWith(hostDrainPrefix))
        this.#drainAt.set(key.slice(hostDrainPrefix.length), this.#now());
      else if (key.startsWith(rebalanceKey(''))) this.#rebalanceAt.set(key, this.#now());
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
        // Nothing leads to a machine that was taken out: what it held is given to others.
        const isTakenOut = this.#isRemoved(machine.id) || this.#isRemoved(other.id);
        this.#onlyOne(job, one.labels['gantry.job'], [machine, other]);
        const isOfOther =
          isTakenOut ||
          one.labels['gantry.incarnation'] !== container?.labels['gantry.incarnation'];
        if (one.ip !== undefined && one.ip === container?.ip && !isOfOther)
          throw new Broken(`address ${one.ip} is used twice: by ${job} and another job`);
      }
  }

  /** Of a kind that runs once, whatever the release: also on a machine that was taken out. */
  #onlyOne(id = '', otherId = '', [machine, other]: readonly Machine[]): void {
    const [job, one] = [this.#known.get(id), this.#known.get(otherId)];
    if (!job?.isSingleton || !one?.isSingleton) return;
    if (job.app === one.app && job.type === one.type)
      throw new Broken(
        `two of the singleton ${job.type} of ${job.app} run: ${id} on ${machine?.id}, ${otherId} on ${other?.id}`,
      );
  }

  /** Before a running container is hurt: did anybody ask for it? */
  async hurt(machine: Machine, containerId: string, how: string): Promise<void> {
    const container = (await listRunning(machine)).find(({ id }) => id === containerId);
    const jobId = container?.labels['gantry.job'];
    if (jobId !== undefined && this.#givenUp.has(jobId)) return;
    const job = jobId ? this.#jobOf(jobId) : undefined;
    if (container && !job) this.#mayForget(container.labels, how);
    if (!container || !job || job.desired === 'down' || job.host !== machine.id) return;
    const status = this.#statusOf(job.id);
    const isOldAttempt = Number(container.labels['gantry.attempt']) < (status?.attempt ?? 1);
    if (isOldAttempt || status?.state === 'stopping') return;
    // Its lease may be over: another machine may run it by now.
    if (job.isSingleton && machine.fence.isOver) return;
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

  #registered(host: string, { after }: Change): void {
    if (after && this.#isRemoved(host))
      throw new Broken(`${host} registers, and was taken out of the cluster`);
  }

  #alive(host: string, { after }: Change): void {
    if (after && this.#isRemoved(host))
      throw new Broken(`${host} has a lease, and was taken out of the cluster`);
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
    if (after) this.#known.set(after.id, after);
    if (after?.host !== undefined && before?.host === undefined) this.#placed(after, after.host);
    if (before && after) this.#changed(before, after, all);
    else if (after) this.#created(after);
    else if (before) this.#removed(before, all);
  }

  /** A host that is to be emptied gets nothing, nor does one that is none any more. */
  #placed(job: Job, host: string): void {
    const election = job.kind === 'service' ? serviceScheduler : 'scheduler/ephemeral';
    if (this.#isNewsLate(election) || this.#isYoung(this.#drainAt.get(host))) return;
    if (this.#world.ledger.read(hostDrainKey(host)) && !job.isOnePerHost)
      throw new Broken(`${job.id} gets a place on ${host}, which is being drained`);
    if (!this.#world.ledger.read(hostKey(host)) && !this.#isYoung(this.#awaySince.get(host)))
      throw new Broken(`${job.id} gets a place on ${host}, which is no host`);
  }

  /** A replacement is made for a job that is to go, and one for each. */
  #replaces(job: Job, held: Job[]): void {
    const of = job.replaces?.job;
    if (of === undefined) return;
    const replaced = this.#live(job).find(({ id }) => id === of);
    if (!replaced?.host) throw new Broken(`${job.id} replaces ${of}, which is not there`);
    const isAnother = (one: Job) => one.id !== job.id && one.replaces?.job === of;
    if (held.some((one) => isAnother(one) && this.#isMoveOn(one, replaced)))
      throw new Broken(`${of} is replaced twice`);
    if (!this.#isLeaving(replaced)) throw new Broken(`${job.id} replaces ${of}, which may stay`);
  }

  /** What a drain began that is over is a job like any other. */
  #isMoveOn({ replaces }: Job, { host = '' }: Job): boolean {
    if (replaces?.because === 'rebalance') return true;
    const drain = this.#world.ledger.read(hostDrainKey(host))?.value as HostDrain | undefined;
    return drain !== undefined && drain.since === replaces?.drainSince;
  }

  /** Its host is being drained, or somebody asked for more evenness; or that was so a moment ago. */
  #isLeaving({ app, host = '' }: Job): boolean {
    const { ledger } = this.#world;
    const isAsked = ledger.read(hostDrainKey(host)) ?? ledger.read(rebalanceKey(app));
    if (isAsked || this.#isNewsLate(serviceScheduler)) return true;
    return (
      this.#isYoung(this.#drainAt.get(host)) ||
      this.#isYoung(this.#rebalanceAt.get(rebalanceKey(app)))
    );
  }

  #created(job: Job): void {
    if (job.kind === 'ephemeral') return;
    const peers = this.#jobs().filter((one) => one.app === job.app && one.type === job.type);
    if (peers.some((one) => one.id !== job.id && one.index === job.index && one.kind === job.kind))
      throw new Broken(`number ${job.index} of ${job.type} is given twice`);
    const asked = this.#askedFor(job);
    const held = this.#live(job).filter((one) => !this.#isAway(one));
    this.#replaces(job, held);
    const leaving = new Set(held.filter((one) => this.#isLeaving(one)).map(({ id }) => id));
    const counted = held.filter(({ replaces }) => !replaces || !leaving.has(replaces.job)).length;
    if (counted > asked)
      throw new Broken(`${counted} jobs of ${job.app}/${job.release}, ${asked} are asked for`);
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
    // One that may run only once ends before the next begins.
    if (this.#isAway(job) || (job.isSingleton && this.#isLeaving(job))) return;
    const left = this.#live(job);
    const asked = this.#askedFor(job);
    if (left.length < asked)
      throw new Broken(`${job.id} was stopped although only ${left.length} others are there`);
    if (!this.#isHealthy(job)) return;
    const well = left.filter((one) => this.#isHealthy(one) || this.#isFresh(one));
    const were = [job, ...left];
    const isCounted = ({ replaces }: Job) => !were.some(({ id }) => id === replaces?.job);
    const wasWell = [job, ...well].filter(isCounted).length;
    if (well.length < Math.min(asked, wasWell))
      throw new Broken(`${job.id} is healthy and was stopped, only ${well.length} others are`);
    // Its replacement is well; or it is one, and what it replaces is.
    const isMove = ({ id, replaces }: Job) => replaces?.job === job.id || job.replaces?.job === id;
    if (well.some(isMove)) return;
    const sick = left.find((one) => one.host && !well.includes(one));
    if (sick) throw new Broken(`${job.id} is healthy and was stopped, ${sick.id} is not and stays`);
  }

  #removed(job: Job, all: Change[]): void {
    // A host that was taken out says nothing any more.
    if (job.host === undefined || !this.#world.ledger.read(hostKey(job.host))) return;
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
    // The old one ends before the new one begins.
    if (app.placements?.web?.count === 'singleton') return;
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
      // A replacement is no more than what it replaces.
      const isCounted = ({ replaces }: Job) =>
        !isSure || !live.some((one) => one.id === replaces?.job);
      const counted = live
        .filter(isCounted)
        .filter((job) =>
          isSure
            ? this.#isHealthy(job) && !this.#isFresh(job, deployments)
            : this.#isHealthy(job) || this.#isFresh(job, deployments),
        );
      total += Math.min(processes.web?.quantity ?? 0, counted.length);
    }
    return total;
  }

  #isJustScaled({ id }: App): boolean {
    return this.#isNewsLate(deployments) || this.#isYoung(this.#appAt.get(id));
  }

  /** Whoever leads there may have decided on what was. */
  #isNewsLate(election: string): boolean {
    const { ledger, machines, hearing } = this.#world;
    if (machines.some(({ faults }) => faults.isNewsLate)) return true;
    const leader = ledger.read(`elections/${election}`)?.value as { identity?: string } | undefined;
    const at = machines.find(({ id }) => leader?.identity?.endsWith(id));
    return at !== undefined && hearing.isLate(at.id);
  }

  #isYoung(atMs: number | undefined): boolean {
    return atMs !== undefined && this.#now() - atMs < freshMs;
  }

  #isRemoved(host: string): boolean {
    return this.#world.ledger.read(removedKey(host)) !== undefined;
  }

  #isAway({ host, isSingleton }: Job): boolean {
    if (host === undefined) return false;
    const since = this.#awaySince.get(host);
    const graceMs = schedulerConfig.hostLossGraceMs / fastestRate;
    if (since !== undefined && this.#now() - since >= graceMs) return true;
    return !isSingleton && this.#isSilent(host);
  }

  /** Two others at least say so: a singleton is given up for no such reason. */
  #isSilent(host: string): boolean {
    const reports = this.#world.ledger.readRange({ prefix: hostSilentPrefix });
    return reports.filter(({ value }) => (value as HostSilent).hosts.includes(host)).length >= 2;
  }

  #isHealthy({ id }: Job): boolean {
    const status = this.#statusOf(id);
    return status?.state === 'up' && status.isHealthy;
  }

  #isFresh({ id }: Job, election = serviceScheduler): boolean {
    return this.#isNewsLate(election) || this.#isYoung(this.#statusAt.get(id) ?? 0);
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
