// The scheduler's local copy of the cluster, with the sums that decisions read kept up to date entry by entry.
// It holds what was observed and nothing else: a decision never changes it, its commit comes back as an event.

import { parser } from '#core/schema';
import {
  type Host,
  hostAliveKey,
  hostAlivePrefix,
  hostDrainPrefix,
  hostLoadPrefix,
  hostLoadSchema,
  hostPrefix,
  hostSchema,
  hostSilentPrefix,
  hostTagsPrefix,
  type JobStatus,
  statusPrefix,
} from '#layer0/host/wire';
import { DirtyApps } from './dirty-apps.ts';
import { HostIndex, type KnownHost } from './host-index.ts';
import { SharedSpecs } from './shared-specs.ts';
import { Silence } from './silence.ts';
import { healthOf, isEnded } from './state.ts';
import {
  appClaimPrefix,
  type Claim,
  type Formation,
  formationPrefix,
  formationSchema,
  hostClaimPrefix,
  hostIdTag,
  type Job,
  jobPrefix,
  jobSchema,
  rebalanceKey,
  rebalancePrefix,
} from './wire.ts';

export interface StateEntry {
  key: string;
  value: unknown;
  modRevision: number;
}

export interface KnownJob {
  job: Job;
  /** What `groupOf` says: one string for all of a group. */
  group: string;
  /** Where it is placed, whether or not it has ended. */
  host: KnownHost | undefined;
  modRevision: number;
  status: JobStatus | undefined;
  /** Of the status. */
  statusRevision: number | undefined;
  /** Monotonic time since when its attempt is seen up and healthy without a break. */
  healthySince: number | undefined;
  /** Monotonic time since when it was never seen healthy for long; before it ever was, since when it is known. */
  sickSince: number | undefined;
}

export interface KnownFormation {
  key: string;
  app: string;
  /** Undefined when the stored value is not a formation: its jobs are left as they are. */
  formation: Formation | undefined;
  modRevision: number;
}

export interface KnownClaim {
  claim: Claim;
  modRevision: number;
}

const readHost = parser(hostSchema);
const readLoad = parser(hostLoadSchema);
const readFormation = parser(formationSchema);
const readJob = parser(jobSchema);

export class ClusterState {
  readonly hosts = new Map<string, KnownHost>();
  /** The same hosts, as placement reads them. */
  readonly index = new HostIndex();
  /** Hosts without a lease, and those that are silent. */
  readonly away = new Set<KnownHost>();
  /** Hosts whose jobs are to go elsewhere. */
  readonly draining = new Set<KnownHost>();
  /** Apps whose jobs are to be spread evenly again, as asked; the value is what `modRevision` says. */
  readonly rebalances = new Map<string, number>();
  readonly jobs = new Map<string, KnownJob>();
  readonly formations = new Map<string, KnownFormation>();
  readonly claims = new Map<string, KnownClaim>();
  /** Whoever finds nothing to do about one takes it out. */
  readonly dirtyApps = new DirtyApps();
  /** Placeless jobs that should run, by kind. */
  readonly pending = { service: new Set<string>(), ephemeral: new Set<string>() };
  /** One-off jobs whose record waits to be removed. */
  readonly endedEphemeral = new Set<string>();
  /** Grows with every fact about a host: it can concern every app. */
  hostsVersion = 0;
  /** Grows whenever a job that found no place might find one now. */
  capacityVersion = 0;
  /** Grows whenever a job begins to wait for a place. */
  pendingVersion = 0;
  readonly #jobsByApp = new Map<string, Set<KnownJob>>();
  readonly #formationsByApp = new Map<string, Set<KnownFormation>>();
  readonly #statuses = new Map<string, JobStatus>();
  /** Of statuses whose job is not known: the others have it there. */
  readonly #earlyRevisions = new Map<string, number>();
  readonly #silence = new Silence();
  readonly #specs = new SharedSpecs();
  readonly #now: () => number;

  /** `now` is a monotonic clock: it says since when a host is away. */
  constructor(now: () => number) {
    this.#now = now;
  }

  jobsOf(app: string): Iterable<KnownJob> {
    return this.#jobsByApp.get(app) ?? [];
  }

  formationsOf(app: string): Iterable<KnownFormation> {
    return this.#formationsByApp.get(app) ?? [];
  }

  put({ key, value, modRevision }: StateEntry): void {
    if (key.startsWith(jobPrefix)) this.#putJob(key.slice(jobPrefix.length), value, modRevision);
    else if (key.startsWith(statusPrefix))
      this.#putStatus(key.slice(statusPrefix.length), value, modRevision);
    else if (key.startsWith(formationPrefix)) this.#putFormation(key, value, modRevision);
    else if (key.startsWith(appClaimPrefix) || key.startsWith(hostClaimPrefix)) {
      this.claims.set(key, { claim: value as Claim, modRevision });
      if (key.startsWith(appClaimPrefix)) this.#markDirty(key.slice(appClaimPrefix.length));
    } else if (key.startsWith(hostAlivePrefix))
      this.#setAlive(key.slice(hostAlivePrefix.length), true);
    else if (key.startsWith(hostTagsPrefix)) this.#setTags(key.slice(hostTagsPrefix.length), value);
    else if (key.startsWith(hostLoadPrefix)) this.#setLoad(key.slice(hostLoadPrefix.length), value);
    else if (key.startsWith(hostSilentPrefix)) this.#putSilent(key, value, modRevision);
    else if (key.startsWith(hostDrainPrefix))
      this.#setDrain(key.slice(hostDrainPrefix.length), (value as { since: number }).since);
    else if (key.startsWith(rebalancePrefix)) this.#setRebalance(key, modRevision);
    else if (key.startsWith(hostPrefix)) this.#putHost(key.slice(hostPrefix.length), value);
  }

  delete(key: string): void {
    if (key.startsWith(jobPrefix)) this.#deleteJob(key.slice(jobPrefix.length));
    else if (key.startsWith(statusPrefix))
      this.#putStatus(key.slice(statusPrefix.length), undefined, undefined);
    else if (key.startsWith(formationPrefix)) this.#deleteFormation(key);
    else if (key.startsWith(hostAlivePrefix))
      this.#setAlive(key.slice(hostAlivePrefix.length), false);
    else if (key.startsWith(hostTagsPrefix)) this.#setTags(key.slice(hostTagsPrefix.length), {});
    else if (key.startsWith(hostLoadPrefix))
      this.#setLoad(key.slice(hostLoadPrefix.length), undefined);
    else if (key.startsWith(hostSilentPrefix)) this.#putSilent(key, undefined, 0);
    else if (key.startsWith(hostDrainPrefix))
      this.#setDrain(key.slice(hostDrainPrefix.length), undefined);
    else if (key.startsWith(rebalancePrefix)) this.#setRebalance(key, undefined);
    else if (key.startsWith(hostPrefix)) this.#putHost(key.slice(hostPrefix.length), undefined);
    else this.claims.delete(key);
  }

  /** Everything under a prefix as it was listed; what is not listed is gone. */
  replace(prefix: string, entries: StateEntry[]): void {
    const listed = new Set(entries.map(({ key }) => key));
    for (const key of this.keys()) if (key.startsWith(prefix) && !listed.has(key)) this.delete(key);
    for (const entry of entries) this.put(entry);
  }

  keys(): string[] {
    const hosts = [...this.hosts.values()];
    return [
      ...[...this.jobs.keys()].map((id) => jobPrefix + id),
      ...[...this.#statuses.keys()].map((id) => statusPrefix + id),
      ...this.formations.keys(),
      ...this.claims.keys(),
      ...hosts.filter(({ hasLease }) => hasLease).map(({ id }) => hostAliveKey(id)),
      ...[...this.#silence.watchers()].map((id) => hostSilentPrefix + id),
      ...hosts.flatMap(({ id }) => [hostTagsPrefix + id, hostLoadPrefix + id]),
      ...[...this.draining].map(({ id }) => hostDrainPrefix + id),
      ...[...this.rebalances.keys()].map(rebalanceKey),
      ...hosts.filter(({ record }) => record).map(({ id }) => hostPrefix + id),
    ];
  }

  /** Whatever was true of them is not known any more: nobody was looking. Who is away is away from now on. */
  restartAbsences(): void {
    for (const host of this.away) if (!host.hasLease) host.awaySince = this.#now();
  }

  /** Every app that has jobs or formations is to be looked at again. */
  markAllDirty(): void {
    for (const app of this.#jobsByApp.keys()) this.#markDirty(app);
    for (const app of this.#formationsByApp.keys()) this.#markDirty(app);
  }

  /** An app is to be looked at again, although nothing of its own changed. */
  lookAgainAt(app: string): void {
    this.#markDirty(app);
  }

  /** At the priority of its most important formation. */
  #markDirty(app: string): void {
    let priority = Number.NEGATIVE_INFINITY;
    for (const { formation } of this.formationsOf(app))
      priority = Math.max(priority, formation?.priority ?? 0);
    this.dirtyApps.add(app, priority);
  }

  #putJob(id: string, value: unknown, modRevision: number): void {
    if (!readJob.check(value)) return;
    const { job, group } = this.#specs.enter(value);
    const before = this.jobs.get(id);
    if (before) {
      this.#leave(before);
      this.#specs.leave(before.group);
    }
    const status = this.#statuses.get(id);
    const statusRevision = before ? before.statusRevision : this.#earlyRevisions.get(id);
    this.#earlyRevisions.delete(id);
    const health = { healthySince: before?.healthySince, sickSince: before?.sickSince };
    const seen = { status, statusRevision, ...health };
    const known = { job, group, host: undefined, modRevision, ...seen };
    this.jobs.set(id, known);
    Object.assign(known, healthOf(known, before?.status, this.#now()));
    this.#enter(known);
  }

  #deleteJob(id: string): void {
    const known = this.jobs.get(id);
    if (!known) return;
    this.#leave(known);
    this.#specs.leave(known.group);
    this.jobs.delete(id);
    if (known.statusRevision !== undefined) this.#earlyRevisions.set(id, known.statusRevision);
    this.capacityVersion++;
  }

  #putStatus(id: string, value: unknown, modRevision: number | undefined): void {
    const status = value as JobStatus | undefined;
    if (status) this.#statuses.set(id, status);
    else this.#statuses.delete(id);
    const known = this.jobs.get(id);
    if (known) known.statusRevision = modRevision;
    else if (modRevision === undefined) this.#earlyRevisions.delete(id);
    else this.#earlyRevisions.set(id, modRevision);
    if (!known) return;
    const hasEnded = isEnded(known.job, status);
    const before = known.status;
    if (hasEnded === isEnded(known.job, before)) {
      known.status = status;
      Object.assign(known, healthOf(known, before, this.#now()));
      this.#markDirty(known.job.app);
      return;
    }
    this.#leave(known);
    known.status = status;
    Object.assign(known, healthOf(known, before, this.#now()));
    this.#enter(known);
    if (hasEnded) this.capacityVersion++;
  }

  #enter(known: KnownJob): void {
    const { job, status } = known;
    const ofApp = this.#jobsByApp.get(job.app);
    if (ofApp) ofApp.add(known);
    else this.#jobsByApp.set(job.app, new Set([known]));
    this.#markDirty(job.app);
    const hasEnded = isEnded(job, status);
    if (job.host !== undefined) {
      const host = this.#host(job.host);
      known.host = host;
      host.records++;
      if (!hasEnded) this.index.add(host, job);
    } else if (job.desired === 'up' || job.kind === 'ephemeral') {
      this.pending[job.kind].add(job.id);
      this.pendingVersion++;
    }
    if (job.kind === 'ephemeral' && hasEnded) this.endedEphemeral.add(job.id);
  }

  #leave(known: KnownJob): void {
    const { job, status } = known;
    const ofApp = this.#jobsByApp.get(job.app);
    ofApp?.delete(known);
    if (ofApp?.size === 0) this.#jobsByApp.delete(job.app);
    this.#markDirty(job.app);
    if (known.host) {
      const { host } = known;
      host.records--;
      if (!isEnded(job, status)) this.index.remove(host, job);
      this.#forgetHost(host);
    }
    this.pending[job.kind].delete(job.id);
    this.endedEphemeral.delete(job.id);
  }

  #putFormation(key: string, value: unknown, modRevision: number): void {
    this.#deleteFormation(key);
    const [app = ''] = key.slice(formationPrefix.length).split('/');
    const formation = readFormation.check(value) ? value : undefined;
    const known = { key, app, formation, modRevision };
    this.formations.set(key, known);
    const ofApp = this.#formationsByApp.get(app);
    if (ofApp) ofApp.add(known);
    else this.#formationsByApp.set(app, new Set([known]));
    this.#markDirty(app);
  }

  #deleteFormation(key: string): void {
    const known = this.formations.get(key);
    if (!known) return;
    this.formations.delete(key);
    const ofApp = this.#formationsByApp.get(known.app);
    ofApp?.delete(known);
    if (ofApp?.size === 0) this.#formationsByApp.delete(known.app);
    this.#markDirty(known.app);
  }

  #host(id: string): KnownHost {
    const known = this.hosts.get(id);
    if (known) return known;
    const host = this.index.enter(id, this.#now());
    this.hosts.set(id, host);
    this.away.add(host);
    return host;
  }

  #putHost(id: string, value: unknown): void {
    const host = this.#host(id);
    host.record = readHost.check(value) ? (value as Host) : undefined;
    this.#hostsChanged(host);
  }

  #setAlive(id: string, isAlive: boolean): void {
    const host = this.#host(id);
    if (isAlive) host.awaySince = undefined;
    else host.awaySince ??= this.#now();
    this.#hostsChanged(host);
  }

  #putSilent(key: string, value: unknown, modRevision: number): void {
    this.#silence.put(key.slice(hostSilentPrefix.length), value, modRevision);
    this.#weighSilence();
  }

  #weighSilence(): void {
    for (const host of this.#silence.weigh(this.hosts)) this.#refresh(host);
  }

  #setTags(id: string, value: unknown): void {
    const host = this.#host(id);
    host.tags = { ...(typeof value === 'object' ? value : {}), [hostIdTag]: id };
    this.#hostsChanged(host);
  }

  /** No news for jobs that wait: it changes which host is best, not which could take them. */
  #setLoad(id: string, value: unknown): void {
    const host = this.hosts.get(id);
    if (host) this.index.busyPercent[host.slot] = readLoad.check(value) ? value.busyPercent : 0;
  }

  #setDrain(id: string, since: number | undefined): void {
    const host = this.#host(id);
    host.drainSince = since;
    if (host.isDraining) this.draining.add(host);
    else this.draining.delete(host);
    this.#hostsChanged(host);
  }

  #setRebalance(key: string, modRevision: number | undefined): void {
    const app = key.slice(rebalancePrefix.length);
    if (modRevision === undefined) this.rebalances.delete(app);
    else this.rebalances.set(app, modRevision);
    this.#markDirty(app);
  }

  #hostsChanged(host: KnownHost): void {
    this.#refresh(host);
    this.#weighSilence();
  }

  #refresh(host: KnownHost): void {
    this.capacityVersion++;
    this.hostsVersion++;
    if (host.isAlive) this.away.delete(host);
    else this.away.add(host);
    this.index.refresh(host);
    this.#forgetHost(host);
  }

  #forgetHost(host: KnownHost): void {
    const isNothing = !host.record && !host.hasLease && host.records === 0;
    if (!isNothing || host.isDraining || Object.keys(host.tags).length > 1) return;
    this.hosts.delete(host.id);
    this.away.delete(host);
    this.index.leave(host);
    this.hostsVersion++;
  }
}
