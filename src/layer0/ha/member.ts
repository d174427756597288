// The member of etcd on this machine: a container that this daemon starts, adopts by label and starts again. It needs no store:
// its plan is a file. Only a plan that says so makes a new one. One that would be made differently today is replaced when it is
// this machine's turn; the one before comes back when the new one does not serve. Killed anywhere, the next look goes on.

import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#core/clock';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import { createLoop, type Loop } from '#core/reconcile';
import { backoffMs, isWorthTelling } from '#core/retry';
import type { Container, ContainerSpec, OwnContainers, Runtime } from '#layer0/host/index';
import { lookMs, renewalLimitMs, renewalLookMs, renewalWaitMs } from './config.ts';
import { type ContainersSeen, type EngineStep, planContainer } from './decide/plan-container.ts';
import { haErrors } from './errors.ts';
import {
  etcdBeforeName,
  etcdContainer,
  etcdName,
  isSameMember,
  planLabel,
} from './etcd-container.ts';
import type { HaFiles } from './files.ts';
import type { RenewalTurn } from './renewal-turn.ts';
import type { MemberPlan, Renewal } from './wire.ts';

export interface MemberDeps {
  runtime: Pick<Runtime, 'list' | 'create' | 'start' | 'remove'>;
  containers: Pick<OwnContainers, 'stop' | 'rename' | 'tail' | 'close'>;
  turn: Pick<RenewalTurn, 'take' | 'release' | 'isServing'>;
  files: HaFiles;
  clock: Clock;
  random: Random;
  log: Log;
}

export interface MemberConfig {
  home: string;
  clusterId: string;
  hostId: string;
}

const hostName = 'gantry-host';
/** Before one that ends soon after each start is started again; one that ran for so long has not ended soon. */
const restartBackoff = { minMs: 500, maxMs: 10_000 };
const steadyMs = 30_000;
const noRestarts = { count: 0, atMs: Number.NEGATIVE_INFINITY, restMs: 0 };
/** What of its log is said when a container does not come up. */
const saidLines = 5;

interface Pass {
  wanted: ContainerSpec;
  plan: MemberPlan;
  /** By name, as `planContainer` saw them. */
  found: ReadonlyMap<string, Container>;
}

export class EtcdMember {
  readonly #deps: MemberDeps;
  readonly #config: MemberConfig;
  readonly #loop: Loop;
  #plan: MemberPlan | undefined;
  /** Somebody said so: without a plan data is left alone. */
  #isEnded = false;
  /** Nothing of a member is left here, and none has begun since. */
  #isClear = false;
  #renewal: Renewal = { state: 'running', reason: 'the etcd here has not been looked at yet' };
  /** Since when this life has waited for the new one. */
  #renewedSinceMs: number | undefined;
  /** Hash of what did not come up. */
  #refused: string | undefined;
  /** How often in a row it was started again, when last, and how long it is let be then. */
  #restarts = noRestarts;

  constructor(deps: MemberDeps, config: MemberConfig) {
    this.#deps = deps;
    this.#config = config;
    const { clock, random, log } = deps;
    this.#loop = createLoop({
      name: 'ha/etcd-member',
      resyncMs: lookMs,
      clock,
      random,
      log,
      run: (signal) => this.#pass(signal),
    });
  }

  get plan(): MemberPlan | undefined {
    return this.#plan;
  }

  get renewal(): Renewal {
    return this.#renewal;
  }

  async start(): Promise<void> {
    this.#plan = await this.#deps.files.readPlan();
    if (!this.#plan) this.#renewal = { state: 'settled' };
    this.#loop.start();
  }

  async stop(): Promise<void> {
    await this.#loop.stop();
    this.#deps.containers.close();
  }

  status(): Record<string, unknown> {
    return { token: this.#plan?.token, renewal: this.#renewal, loop: this.#loop.status() };
  }

  async run(plan: MemberPlan): Promise<void> {
    this.#isClear = false;
    await this.#deps.files.writePlan(plan);
    this.#plan = plan;
    this.#loop.trigger();
  }

  async end(): Promise<void> {
    await this.#deps.files.writePlan(undefined);
    this.#plan = undefined;
    this.#isEnded = true;
    this.#isClear = false;
    this.#loop.trigger();
  }

  async #pass(signal: AbortSignal): Promise<void | { againMs: number }> {
    const plan = this.#plan;
    if (!plan) return this.#clear();
    const wanted = await this.#specOf(plan);
    if (!wanted) return;
    const all = await this.#deps.runtime.list(this.#labels('etcd'));
    const found = new Map(all.map((container) => [container.name, container]));
    const seen = this.#see(found, wanted);
    const step = planContainer(seen);
    if (step.kind === 'nothing') return this.#settle(seen, plan);
    if (seen.before) this.#renewedSinceMs ??= this.#deps.clock.monotonicMs();
    if (step.kind === 'set-aside') return this.#setAside(plan, signal);
    const restMs = step.kind === 'start' ? this.#restMs() : 0;
    if (restMs > 0) return { againMs: restMs };
    await this.#act(step, { wanted, plan, found });
    return { againMs: renewalLookMs };
  }

  #see(found: ReadonlyMap<string, Container>, wanted: ContainerSpec): ContainersSeen {
    const look = (name: string) => {
      const container = found.get(name);
      if (!container) return undefined;
      const { labels, state } = container;
      const plan = labels[planLabel] ?? '';
      return { plan, isRunning: state === 'running', isSameMember: isSameMember(labels, wanted) };
    };
    return {
      wanted: wanted.labels[planLabel] ?? '',
      current: look(etcdName),
      before: look(etcdBeforeName),
      refused: this.#refused,
    };
  }

  /** Nothing is left to do; what was put back stays a failure until another one is wanted. */
  async #settle({ wanted, refused }: ContainersSeen, plan: MemberPlan): Promise<void> {
    await this.#forgetData(plan.data);
    await this.#deps.turn.release();
    this.#renewedSinceMs = undefined;
    if (refused !== wanted) this.#renewal = { state: 'settled' };
    if (this.#renewal.state === 'failed') throw haErrors.notRenewed(this.#renewal.reason);
  }

  async #act(step: EngineStep, pass: Pass): Promise<void> {
    const { wanted, plan, found } = pass;
    const { runtime, containers, log } = this.#deps;
    const current = found.get(etcdName);
    switch (step.kind) {
      case 'remove':
        return runtime.remove(current?.id ?? '');
      case 'start':
        if (await this.#isRefused(pass)) return;
        if (isWorthTelling(this.#countRestart()))
          log.warn({ exitCode: current?.exitCode }, 'etcd had ended and is started again');
        return runtime.start(current?.id ?? '');
      case 'create':
        if (await this.#isRefused(pass)) return;
        // Never two on one folder.
        await containers.stop(etcdBeforeName);
        await this.#forgetData(plan.data);
        await mkdir(join(this.#folder, plan.data), { recursive: true, mode: 0o700 });
        return runtime.start(await runtime.create(wanted));
      case 'judge':
        return this.#judge(pass);
      case 'put-back':
        await containers.rename(etcdBeforeName, etcdName);
        // How often the other one ended says nothing of this one.
        this.#restarts = noRestarts;
        log.warn('the etcd before it runs again');
        return;
    }
  }

  #restMs(): number {
    const { atMs, restMs } = this.#restarts;
    return atMs + restMs - this.#deps.clock.monotonicMs();
  }

  #countRestart(): number {
    const { clock, random } = this.#deps;
    const atMs = clock.monotonicMs();
    const count = atMs - this.#restarts.atMs < steadyMs ? this.#restarts.count + 1 : 1;
    this.#restarts = { count, atMs, restMs: backoffMs(count, restartBackoff, random) };
    return count;
  }

  async #setAside({ token }: MemberPlan, signal: AbortSignal): Promise<void | { againMs: number }> {
    const { turn, containers, runtime, log } = this.#deps;
    const daemons = await runtime.list(this.#labels('host'));
    // A daemon that does not come up is put back, and etcd with it.
    const isOnTrial = daemons.some(({ name }) => name === `${hostName}-before`);
    const { wait, isHeldUp } = isOnTrial
      ? { wait: 'the daemon here is being replaced' }
      : await turn.take(token, signal);
    if (wait !== undefined) {
      this.#renewal = { state: isHeldUp ? 'held-up' : 'running', reason: wait };
      return isHeldUp ? undefined : { againMs: renewalWaitMs };
    }
    this.#renewal = { state: 'running', reason: 'the etcd here is being replaced' };
    log.info('the etcd here is replaced by one of the present version');
    // The leader of etcd hands over before it ends.
    await containers.stop(etcdName);
    await containers.rename(etcdName, etcdBeforeName);
    return { againMs: 0 };
  }

  async #judge(pass: Pass): Promise<void> {
    const { hostId } = this.#config;
    const own = pass.plan.nodes.find((node) => node.hostId === hostId);
    if (own && (await this.#deps.turn.isServing(own.clientUrl))) {
      await this.#deps.runtime.remove(pass.found.get(etcdBeforeName)?.id ?? '');
      this.#deps.log.info('the etcd of the present version serves');
      return;
    }
    await this.#isRefused(pass);
  }

  /** The new one has had its time: it goes, and is not tried again in this life. */
  async #isRefused({ wanted, found }: Pass): Promise<boolean> {
    const { clock, runtime, containers, log } = this.#deps;
    const since = found.has(etcdBeforeName) ? this.#renewedSinceMs : undefined;
    if (since === undefined || clock.monotonicMs() - since < renewalLimitMs) return false;
    const current = found.get(etcdName);
    const said = current ? await containers.tail(etcdName, saidLines).catch(() => '') : '';
    this.#refused = wanted.labels[planLabel];
    const reason = `the etcd of the present version did not serve within ${renewalLimitMs / 1000} s, and the one before it runs again: ${said.trim()}`;
    this.#renewal = { state: 'failed', reason };
    log.warn({ reason }, 'etcd is put back');
    if (current) await runtime.remove(current.id);
    return true;
  }

  /** No plan: what runs by an earlier one goes; its data only when somebody said so. */
  async #clear(): Promise<void> {
    if (this.#isClear) return;
    const { runtime } = this.#deps;
    for (const { id } of await runtime.list(this.#labels('etcd'))) await runtime.remove(id);
    if (this.#isEnded) await this.#forgetData(undefined);
    this.#renewal = { state: 'settled' };
    this.#isClear = this.#plan === undefined;
  }

  get #folder(): string {
    return join(this.#config.home, 'etcd');
  }

  #labels(role: string): Record<string, string> {
    return { 'gantry.platform': this.#config.clusterId, 'gantry.role': role };
  }

  /** Data of members that this machine ran before. */
  async #forgetData(kept: string | undefined): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    for (const name of await readdir(this.#folder))
      if (name !== kept) await rm(join(this.#folder, name), { recursive: true, force: true });
  }

  /** Of the daemon's image; undefined while that is not to be seen: what runs, runs. */
  async #specOf(plan: MemberPlan): Promise<ContainerSpec | undefined> {
    const { home, hostId } = this.#config;
    const daemons = await this.#deps.runtime.list(this.#labels('host'));
    const image = daemons.find(({ name }) => name === hostName)?.image;
    if (image === undefined) return undefined;
    const labels = this.#labels('etcd');
    return etcdContainer(plan, { home, hostId, folder: this.#folder, image, labels });
  }
}
