// What must change so that an app's jobs are those its formations ask for? Steps in the order they should be done.
// Never gives up what may still run for a place that is not there; never stops a healthy job while an unhealthy one would do.

import { hostKey } from '#layer0/host/wire';
import type { ClusterState, KnownFormation, KnownJob } from '../cluster-state.ts';
import type { Claimant, KnownHost } from '../host-index.ts';
import { groupOf, isEnded, matchesConstraint, matchesTags, waitsFor } from '../state.ts';
import { appClaimKey, type Formation, formationKey, type Job } from '../wire.ts';
import { isLost, isReplaceable, restOfLoss } from './lost-hosts.ts';
import {
  givenUpInMs,
  groupJobs,
  isPointless,
  type Leaving,
  nextToLeave,
  takesOverInMs,
} from './move-jobs.ts';
import { type Placement, placeJob } from './place-job.ts';
import type { PlanBoard } from './plan-board.ts';
import type { DecideContext, Later, NewJob, Planning, Step } from './steps.ts';

type CreateStep = Step & { kind: 'create' };
type EndStep = Step & { kind: 'stop' | 'remove' };
type Process = Formation['processes'][string];

export function* diffFormations(
  state: ClusterState,
  app: string,
  planning: Planning,
): Generator<Step> {
  const diff = new AppDiff(state, app, planning);
  yield* diff.removeEnded();
  yield* diff.stopOrphans();
  for (const known of formationsByPriority(state.formationsOf(app)))
    if (known.formation)
      for (const [type, process] of Object.entries(known.formation.processes))
        yield* diff.bringTo(known.formation, type, process);
  if (diff.isRebalanced()) yield { kind: 'settle', app };
  const claim = appClaimKey(app);
  if (diff.isEmpty() && state.claims.has(claim)) yield { kind: 'forget', claim };
}

function formationsByPriority(formations: Iterable<KnownFormation>): KnownFormation[] {
  const rank = ({ formation }: KnownFormation) => formation?.priority ?? 0;
  return [...formations].sort((a, b) => rank(b) - rank(a) || (a.key < b.key ? -1 : 1));
}

class AppDiff {
  readonly #state: ClusterState;
  readonly #app: string;
  readonly #context: DecideContext;
  readonly #board: PlanBoard;
  /** Service jobs that should run, by app/release/type. */
  readonly #wanted = new Map<string, KnownJob[]>();
  readonly #ended: KnownJob[] = [];
  /** Groups of which some was told to stop and may still run. */
  readonly #ending = new Set<string>();
  /** Numbers taken, by type: a record holds its number until it is removed. */
  readonly #numbers = new Map<string, Set<number>>();
  /** By type: all below it are taken. */
  readonly #lastNumber = new Map<string, number>();
  readonly #refused = new Map<string, Placement>();
  readonly #later: Later | undefined;
  #records = 0;
  #isSettled = true;

  constructor(state: ClusterState, app: string, { board, context, later }: Planning) {
    this.#later = later;
    this.#state = state;
    this.#app = app;
    this.#context = context;
    this.#board = board;
    for (const known of state.jobsOf(app)) this.#sort(known);
  }

  #sort(known: KnownJob): void {
    const { job, group } = known;
    this.#records++;
    if (job.kind !== 'service') return;
    this.#numbersOf(job.type).add(job.index);
    if (isRemovable(known, this.#state, this.#context)) this.#ended.push(known);
    else if (job.desired === 'up') {
      const wanted = this.#wanted.get(group);
      if (wanted) wanted.push(known);
      else this.#wanted.set(group, [known]);
    } else this.#ending.add(group);
  }

  isEmpty(): boolean {
    if (this.#records > 0) return false;
    for (const _ of this.#state.formationsOf(this.#app)) return false;
    return true;
  }

  /** It was asked for, and nothing moves or is to move. Read it after the steps. */
  isRebalanced(): boolean {
    if (!this.#state.rebalances.has(this.#app) || !this.#isSettled) return false;
    if (this.#ending.size > 0) return false;
    return [...this.#wanted.values()].every((jobs) => groupJobs(jobs).spares.size === 0);
  }

  *removeEnded(): Generator<Step> {
    for (const { job } of this.#ended) yield remove(job, this.#state);
  }

  /** Jobs whose formation or process type is gone. A formation that cannot be read protects its jobs. */
  *stopOrphans(): Generator<Step> {
    for (const jobs of this.#wanted.values()) {
      const [first] = jobs;
      if (!first) continue;
      const { app, release, type } = first.job;
      const formation = formationKey(app, release);
      const known = this.#state.formations.get(formation);
      if (known && (!known.formation || known.formation.processes[type])) continue;
      const because = known ? `no process ${type} any more` : 'its formation is gone';
      for (const { job } of jobs) yield stop(job, formation, because);
    }
  }

  *bringTo(formation: Formation, type: string, process: Process): Generator<Step> {
    const group = `${this.#app}/${formation.release}/${type}`;
    const present = this.#wanted.get(group) ?? [];
    yield* this.#rankWaiting(formation, present);
    if (process.isOnePerHost) return yield* this.#bringToEveryHost(formation, type, process);
    const { counted, spares } = groupJobs(present);
    const isAnyAway = this.#state.away.size > 0;
    const held = isAnyAway ? counted.filter(({ job }) => !this.#isOnLostHost(job)) : counted;
    const lost = isAnyAway ? counted.filter(({ job }) => this.#isOnLostHost(job)) : [];
    if (held.length > process.quantity) {
      // With those that were to take over: what is healthy stays, wherever it is.
      const all = held.flatMap((known) => {
        const spare = spares.get(known.job.id);
        return spare ? [known, spare] : [known];
      });
      yield* this.#stopSurplus(formation, all, all.length - process.quantity);
    }
    const missing = process.quantity - held.length - lost.length;
    for (let count = 0; count < missing; count++) yield this.#create(formation, type, process);
    // What is away and no longer asked for is told to stop, should it come back.
    const replaceable = Math.max(0, process.quantity - held.length);
    for (const [place, { job }] of lost.sort((a, b) => byAge(a.job, b.job)).entries()) {
      if (place >= replaceable) yield this.#stop(formation, job, 'more than asked for');
      else if (spares.has(job.id)) yield this.#giveUp(formation, job);
      else yield* this.#replaceLost(formation, process, job);
    }
    if (held.length <= process.quantity) yield* this.#move(formation, process, { held, spares });
  }

  /** A priority counts when a job is placed: one that has a host keeps the one that it was placed with. */
  *#rankWaiting({ release, priority }: Formation, jobs: KnownJob[]): Generator<Step> {
    const formation = formationKey(this.#app, release);
    for (const { job } of jobs)
      if (job.host === undefined && job.priority !== priority)
        yield { kind: 'rank', jobId: job.id, priority, formation };
  }

  /** Of drained hosts, and where somebody asked for more evenness: one of a group at a time. */
  *#move(
    formation: Formation,
    process: Process,
    { held, spares }: { held: KnownJob[]; spares: Map<string, KnownJob> },
  ): Generator<Step> {
    for (const { job, host } of held)
      if (job.moveReason !== undefined && !host?.isDraining)
        yield { kind: 'note', jobId: job.id, moveReason: undefined };
    let isAnyMoving = false;
    for (const [id, spare] of spares) {
      const replaced = held.find(({ job }) => job.id === id);
      // Lost meanwhile, and given up: the replacement is one like any other from now on.
      if (!replaced) continue;
      if (isPointless(spare, replaced) || this.#isOnLostHost(spare.job)) {
        yield this.#stop(formation, spare.job, 'its move is over');
        continue;
      }
      isAnyMoving = true;
      yield* this.#handOver(formation, replaced, spare);
    }
    const [first] = held;
    if (isAnyMoving || !first) return;
    const leaving = nextToLeave(held, {
      state: this.#state,
      board: this.#board,
      limits: this.#context.limits,
      isAnyEnding: this.#ending.has(first.group),
    });
    if (leaving) yield* this.#begin(formation, process, leaving);
  }

  *#handOver(formation: Formation, replaced: KnownJob, spare: KnownJob): Generator<Step> {
    const { monotonicMs } = this.#context;
    const inMs = takesOverInMs(spare, monotonicMs);
    const givenUpMs = givenUpInMs(replaced, monotonicMs);
    const name = `${spare.job.type}.${spare.job.index}`;
    if (inMs === 0) yield this.#stop(formation, replaced.job, `${name} is there`);
    else if (givenUpMs === 0) {
      const step = this.#stop(formation, replaced.job, `it is sick, and ${name} takes its place`);
      yield step.kind === 'stop' ? { ...step, isAsSeen: true } : step;
    } else for (const ms of [inMs, givenUpMs]) if (ms !== undefined) this.#lookAgainIn(ms);
  }

  #lookAgainIn(ms: number): void {
    const known = this.#later?.soon.get(this.#app) ?? ms;
    this.#later?.soon.set(this.#app, Math.min(known, ms));
  }

  /** Nothing is begun without a place for it: what has one is better off where it is. */
  *#begin(formation: Formation, process: Process, { known, because }: Leaving): Generator<Step> {
    const { job } = known;
    const { isSingleton: _, ...unbound } = newJob(formation, job.type, process);
    const placement = this.#place(unbound);
    if ('pendingReason' in placement) {
      this.#later?.stuck.add(this.#app);
      const moveReason = placement.pendingReason;
      if (because === 'drain' && moveReason !== job.moveReason)
        yield { kind: 'note', jobId: job.id, moveReason };
      return;
    }
    this.#isSettled = false;
    if (process.isSingleton)
      yield this.#stop(formation, job, 'only one runs at once: it ends before the next begins');
    else {
      const drainSince = because === 'drain' ? known.host?.drainSince : undefined;
      const replaces = {
        job: job.id,
        because,
        ...(drainSince === undefined ? {} : { drainSince }),
      };
      yield this.#commission(formation, { ...unbound, host: placement.host, replaces });
    }
  }

  *#bringToEveryHost(formation: Formation, type: string, process: Process): Generator<Step> {
    const present = this.#wanted.get(`${this.#app}/${formation.release}/${type}`) ?? [];
    const matching = [...this.#state.hosts.values()].filter((host) => matches(host, process));
    const target = process.quantity > 0 ? matching.length : 0;
    if (present.length > target)
      yield* this.#stopSurplus(formation, present, present.length - target);
    for (let count = present.length; count < target; count++)
      yield this.#create(formation, type, process);
  }

  *#stopSurplus(formation: Formation, jobs: KnownJob[], count: number): Generator<Step> {
    const sorted = [...jobs].sort(leastUsefulFirst);
    // While one that is not healthy stays, who goes instead must not have become healthy unseen.
    const isSickLeft = sorted.slice(count).some((known) => !isSeenHealthy(known));
    for (const known of sorted.slice(0, count)) {
      const step = this.#stop(formation, known.job, 'more than asked for');
      const isAsSeen = step.kind === 'stop' && isSickLeft && !isSeenHealthy(known);
      yield isAsSeen ? { ...step, isAsSeen } : step;
    }
  }

  /** The new one first, and only where there is a place: the old one may still be running. */
  *#replaceLost(formation: Formation, process: Process, lost: Job): Generator<Step> {
    const job = newJob(formation, lost.type, process);
    const placement = this.#place(job);
    if ('pendingReason' in placement) {
      this.#later?.stuck.add(this.#app);
      return;
    }
    const restsOn = restOfLoss(this.#state, lost, this.#context);
    yield { ...this.#commission(formation, { ...job, host: placement.host }), ...restsOn };
    yield this.#giveUp(formation, lost);
  }

  #giveUp(formation: Formation, lost: Job): Step {
    const restsOn = restOfLoss(this.#state, lost, this.#context);
    const how = restsOn.silent === undefined ? 'is lost' : 'does not answer';
    return { ...this.#stop(formation, lost, `host ${lost.host} ${how}`), ...restsOn };
  }

  #create(formation: Formation, type: string, process: Process): Step {
    const job = newJob(formation, type, process);
    return this.#commission(formation, { ...job, ...this.#place(job) });
  }

  /** The board only gets fuller: what one of a group was refused for, the next ones are too. */
  #place(job: Claimant): Placement {
    if (job.scheduler !== undefined) return { pendingReason: waitsFor(job.scheduler) };
    const group = groupOf(job);
    const refused = this.#refused.get(group);
    if (refused) return refused;
    const placement = placeJob(this.#board, job, this.#context.limits);
    if ('pendingReason' in placement) this.#refused.set(group, placement);
    return placement;
  }

  #commission(formation: Formation, job: Omit<NewJob, 'index'>): CreateStep {
    if (job.host !== undefined) this.#board.add(job.host, job);
    const index = this.#nextNumber(job.type);
    const key = formationKey(this.#app, formation.release);
    return { kind: 'create', job: { ...job, index }, formation: key };
  }

  #stop(formation: Formation, job: Job, because: string): EndStep {
    return stop(job, formationKey(this.#app, formation.release), because);
  }

  #isOnLostHost(job: Job): boolean {
    return isReplaceable(this.#state, job, this.#context);
  }

  #numbersOf(type: string): Set<number> {
    const known = this.#numbers.get(type);
    if (known) return known;
    const numbers = new Set<number>();
    this.#numbers.set(type, numbers);
    return numbers;
  }

  #nextNumber(type: string): number {
    const numbers = this.#numbersOf(type);
    let number = this.#lastNumber.get(type) ?? 1;
    while (numbers.has(number)) number++;
    numbers.add(number);
    this.#lastNumber.set(type, number);
    return number;
  }
}

/** A job without a place has nothing to stop: its record goes at once. */
function stop(job: Job, formation: string, because: string): EndStep {
  if (job.host === undefined) return { kind: 'remove', jobId: job.id, because };
  return { kind: 'stop', jobId: job.id, formation, because };
}

function remove(job: Job, state: ClusterState): Step {
  const isHostGone = job.host !== undefined && !state.hosts.get(job.host)?.record;
  if (!isHostGone) return { kind: 'remove', jobId: job.id, because: 'it has ended' };
  const absent = [hostKey(job.host ?? '')];
  return { kind: 'remove', jobId: job.id, because: `host ${job.host} was taken away`, absent };
}

/** Its container is gone for sure, or its host is and nobody will ever say so. */
function isRemovable(known: KnownJob, state: ClusterState, context: DecideContext): boolean {
  const { job, host, status } = known;
  if (!host) return job.desired === 'down';
  // A host that was taken out while it ran may not know it yet: its singletons hold their place until it must.
  if (!host.record && !host.hasLease) return !job.isSingleton || isLost(state, host.id, context);
  return isEnded(job, status) && (job.desired === 'down' || job.spec.restart === 'always');
}

function newJob(
  formation: Formation,
  type: string,
  { spec, placement, isOnePerHost, isSingleton, rules, scheduler }: Process,
): Omit<NewJob, 'index'> {
  const { app, appName, release, releaseVersion, priority } = formation;
  return {
    kind: 'service',
    app,
    appName,
    release,
    releaseVersion,
    type,
    spec,
    priority,
    placement,
    ...(isOnePerHost ? { isOnePerHost } : {}),
    ...(isSingleton ? { isSingleton } : {}),
    ...(rules ? { rules } : {}),
    ...(scheduler === undefined ? {} : { scheduler }),
    desired: 'up',
  };
}

function matches({ record, tags }: KnownHost, { spec, rules }: Process): boolean {
  if (!record || !matchesTags(tags, spec.tags)) return false;
  return (rules?.constraints ?? []).every((constraint) => matchesConstraint(tags, constraint));
}

/** Placeless, then unhealthy, then on a host that is being drained, then newest. */
function leastUsefulFirst(a: KnownJob, b: KnownJob): number {
  return usefulness(a) - usefulness(b) || byAge(b.job, a.job);
}

function usefulness({ job, host, status }: KnownJob): number {
  if (job.host === undefined) return 0;
  if (status?.state !== 'up') return 1;
  if (!status.isHealthy) return 2;
  return host?.isDraining ? 3 : 4;
}

function isSeenHealthy({ status }: KnownJob): boolean {
  return status?.state === 'up' && status.isHealthy;
}

function byAge(a: Job, b: Job): number {
  return a.createdAt - b.createdAt || a.index - b.index || (a.id < b.id ? -1 : 1);
}
