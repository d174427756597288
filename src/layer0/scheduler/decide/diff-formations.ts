// What must change so that an app's jobs are those its formations ask for? Steps in the order they should be done.
// Never gives up what may still run for a place that is not there; never stops a healthy job while an unhealthy one would do.

import { hostAlivePrefix, hostKey } from '#layer0/host/wire';
import type { ClusterState, KnownFormation, KnownJob } from '../cluster-state.ts';
import type { Claimant, KnownHost } from '../host-index.ts';
import { groupOf, isEnded, matchesConstraint, matchesTags, waitsFor } from '../state.ts';
import { appClaimKey, type Formation, formationKey, type Job } from '../wire.ts';
import { isLost } from './lost-hosts.ts';
import { type Placement, placeJob } from './place-job.ts';
import type { PlanBoard } from './plan-board.ts';
import type { DecideContext, NewJob, Planning, Step } from './steps.ts';

const hostAliveKey = (id: string) => `${hostAlivePrefix}${id}`;

type CreateStep = Step & { kind: 'create' };
type StopStep = Step & { kind: 'stop' | 'remove' };
type Process = Formation['processes'][string];

export function* diffFormations(
  state: ClusterState,
  app: string,
  { board, context }: Planning,
): Generator<Step> {
  const diff = new AppDiff(state, app, { board, context });
  yield* diff.removeEnded();
  yield* diff.stopOrphans();
  for (const known of formationsByPriority(state.formationsOf(app)))
    if (known.formation)
      for (const [type, process] of Object.entries(known.formation.processes))
        yield* diff.bringTo(known.formation, type, process);
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
  /** Numbers taken, by type: a record holds its number until it is removed. */
  readonly #numbers = new Map<string, Set<number>>();
  /** By type: all below it are taken. */
  readonly #lastNumber = new Map<string, number>();
  readonly #refused = new Map<string, Placement>();
  #records = 0;

  constructor(state: ClusterState, app: string, { board, context }: Planning) {
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
    if (isRemovable(known)) this.#ended.push(known);
    else if (job.desired === 'up') {
      const wanted = this.#wanted.get(group);
      if (wanted) wanted.push(known);
      else this.#wanted.set(group, [known]);
    }
  }

  isEmpty(): boolean {
    if (this.#records > 0) return false;
    for (const _ of this.#state.formationsOf(this.#app)) return false;
    return true;
  }

  *removeEnded(): Generator<Step> {
    for (const { job } of this.#ended) yield remove(job, this.#state);
  }

  /** Jobs whose formation or process type is gone. A formation that cannot be read protects its jobs. */
  *stopOrphans(): Generator<Step> {
    for (const [first, ...others] of this.#wanted.values()) {
      if (!first) continue;
      const { app, release, type } = first.job;
      const formation = formationKey(app, release);
      const known = this.#state.formations.get(formation);
      if (known && (!known.formation || known.formation.processes[type])) continue;
      const because = known ? `no process ${type} any more` : 'its formation is gone';
      for (const { job } of [first, ...others]) yield stop(job, formation, because);
    }
  }

  *bringTo(formation: Formation, type: string, process: Process): Generator<Step> {
    const present = this.#wanted.get(`${this.#app}/${formation.release}/${type}`) ?? [];
    const isAnyAway = this.#state.away.size > 0;
    const held = isAnyAway ? present.filter(({ job }) => !this.#isOnLostHost(job)) : present;
    const lost = isAnyAway ? present.filter(({ job }) => this.#isOnLostHost(job)) : [];
    if (process.isOnePerHost) return yield* this.#bringToEveryHost(formation, type, process);
    if (held.length > process.quantity)
      yield* this.#stopSurplus(formation, held, held.length - process.quantity);
    const missing = process.quantity - held.length - lost.length;
    for (let count = 0; count < missing; count++) yield this.#create(formation, type, process);
    // What is away and no longer asked for is told to stop, should it come back.
    const replaceable = Math.max(0, process.quantity - held.length);
    for (const [place, { job }] of lost.sort((a, b) => byAge(a.job, b.job)).entries())
      if (place < replaceable) yield* this.#replaceLost(formation, process, job);
      else yield this.#stop(formation, job, 'more than asked for');
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
    for (const { job } of [...jobs].sort(leastUsefulFirst).slice(0, count))
      yield this.#stop(formation, job, 'more than asked for');
  }

  /** The new one first, and only where there is a place: the old one may still be running. */
  *#replaceLost(formation: Formation, process: Process, lost: Job): Generator<Step> {
    const job = newJob(formation, lost.type, process);
    const placement = this.#place(job);
    if ('pendingReason' in placement) return;
    const absent = [hostAliveKey(lost.host ?? '')];
    yield { ...this.#commission(formation, { ...job, host: placement.host }), absent };
    yield { ...this.#stop(formation, lost, `host ${lost.host} is lost`), absent };
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

  #stop(formation: Formation, job: Job, because: string): StopStep {
    return stop(job, formationKey(this.#app, formation.release), because);
  }

  #isOnLostHost(job: Job): boolean {
    return job.host !== undefined && isLost(this.#state, job.host, this.#context);
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
function stop(job: Job, formation: string, because: string): StopStep {
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
function isRemovable({ job, host, status }: KnownJob): boolean {
  if (!host) return job.desired === 'down';
  if (!host.record && !host.isAlive) return true;
  return isEnded(job, status) && (job.desired === 'down' || job.spec.restart === 'always');
}

function newJob(
  formation: Formation,
  type: string,
  { spec, placement, isOnePerHost, rules, scheduler }: Process,
): Omit<NewJob, 'index'> {
  const { app, appName, release, releaseVersion, priority } = formation;
  return {
    kind: 'service',
    ...{ app, appName, release, releaseVersion, type, spec, priority, placement },
    ...(isOnePerHost ? { isOnePerHost } : {}),
    ...(rules ? { rules } : {}),
    ...(scheduler === undefined ? {} : { scheduler }),
    desired: 'up',
  };
}

function matches({ record, tags }: KnownHost, { spec, rules }: Process): boolean {
  if (!record || !matchesTags(tags, spec.tags)) return false;
  return (rules?.constraints ?? []).every((constraint) => matchesConstraint(tags, constraint));
}

/** Placeless, then unhealthy, then newest. */
function leastUsefulFirst(a: KnownJob, b: KnownJob): number {
  return usefulness(a) - usefulness(b) || byAge(b.job, a.job);
}

function usefulness({ job, status }: KnownJob): number {
  if (job.host === undefined) return 0;
  if (status?.state !== 'up') return 1;
  return status.isHealthy ? 3 : 2;
}

function byAge(a: Job, b: Job): number {
  return a.createdAt - b.createdAt || a.index - b.index || (a.id < b.id ? -1 : 1);
}
