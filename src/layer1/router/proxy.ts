// One HAProxy container: its current worker, the workers that end after a reload, and the reload itself.
// During a rolling replacement of the proxy two of these run side by side, and both are driven.

import { join } from 'node:path';
import { hasCode, toAppError } from '#core/errors';
import { TableFiles } from './act/files.ts';
import { askOnce, masterChannel, socketChannel } from './act/runtime-socket.ts';
import { parseWorkers, type WorkerState } from './decide/state.ts';
import { decideReload, type ServerRef } from './decide/steps.ts';
import { routerErrors } from './errors.ts';
import { type Desired, Worker, type WorkerDeps } from './worker.ts';

/** Longest time a reload may take; the old worker serves meanwhile. */
const reloadMs = 20_000;
const reloadPollMs = 20;

export type ProxyDeps = Omit<WorkerDeps, 'channel'>;

export interface ProxyPass {
  busy: ServerRef[];
  /** Servers that still wait to be taken away. */
  isWaiting: boolean;
  /** Requests can reach the table through this proxy's current worker; false for one that only finishes. */
  isServing: boolean;
}

export class RunningProxy {
  readonly id: string;
  readonly #deps: ProxyDeps;
  readonly #folder: string;
  readonly #current: Worker;
  readonly #ending = new Map<number, Worker>();
  #reloads = 0;

  constructor(id: string, deps: ProxyDeps) {
    this.id = id;
    this.#deps = deps;
    this.#folder = join(deps.paths.run, id);
    this.#current = new Worker({
      ...deps,
      channel: socketChannel(join(this.#folder, 'stats.sock')),
    });
  }

  get #master(): string {
    return join(this.#folder, 'master.sock');
  }

  status(): Record<string, unknown> {
    return {
      id: this.id,
      worker: this.#current.pid,
      endingWorkers: [...this.#ending.keys()],
      reloads: this.#reloads,
    };
  }

  /**
   * Rejects with router.proxyUnreachable when nothing of it answers. `beforeReload` runs once the table is needed on
   * disk: a new worker starts from there.
   */
  async bring(desired: Desired, beforeReload: () => Promise<void>): Promise<ProxyPass> {
    const [processes, seen] = await Promise.allSettled([
      askOnce(this.#master, 'show proc'),
      this.#current.observe(),
    ]);
    const { current, old } = parseWorkers(settledValue(processes));
    const pass: ProxyPass = { busy: [], isWaiting: false, isServing: false };
    const ending = [...old];
    if (current !== undefined) {
      try {
        pass.busy.push(...(await this.#bringCurrent(desired, settledValue(seen), beforeReload)));
        pass.isServing = true;
        pass.isWaiting = this.#current.isWaiting(desired.table);
      } catch (error) {
        if (!isRefused(error)) throw error;
        // The whole proxy is told to end: its runtime socket is closed, its master still answers for its worker.
        ending.push(current);
      }
    }
    const ended = await this.#lookAtEnding(desired, ending);
    pass.busy.push(...ended);
    pass.isWaiting ||= ended.length > 0;
    return pass;
  }

  async #bringCurrent(
    desired: Desired,
    seen: WorkerState,
    beforeReload: () => Promise<void>,
  ): Promise<ServerRef[]> {
    let state = seen;
    const reason = decideReload(desired.table, desired.shape, state);
    if (reason !== undefined && reason !== 'spares') {
      await this.#reload(reason, beforeReload);
      state = await this.#current.observe();
    }
    const busy = await this.#current.bring(desired, state);
    if (reason === 'spares') await this.#reload(reason, beforeReload);
    return busy;
  }

  /** What they still do counts for drains; an idle worker is not waited for, nothing will be taken from it. */
  async #lookAtEnding(desired: Desired, pids: readonly number[]): Promise<ServerRef[]> {
    const busy: ServerRef[] = [];
    for (const pid of this.#ending.keys()) if (!pids.includes(pid)) this.#ending.delete(pid);
    for (const pid of pids) {
      const channel = masterChannel(this.#master, pid);
      const worker = this.#ending.get(pid) ?? new Worker({ ...this.#deps, channel });
      this.#ending.set(pid, worker);
      try {
        busy.push(...(await worker.look(desired)));
      } catch (error) {
        if (!hasCode(error, 'router.proxyUnreachable')) throw error;
        this.#deps.log.debug({ err: error, pid }, 'a worker ended between two answers');
      }
    }
    return busy;
  }

  /** A new worker from the files, hitless: sockets are handed over, the old worker finishes what it has. */
  async #reload(reason: string, beforeReload: () => Promise<void>): Promise<void> {
    const { clock, log } = this.#deps;
    await beforeReload();
    const startMs = clock.monotonicMs();
    const before = await this.#current.observe();
    await this.#keepServerStates();
    await askOnce(this.#master, 'reload').catch(ignoreClosedMaster);
    while (clock.monotonicMs() - startMs < reloadMs) {
      await clock.sleep(reloadPollMs);
      this.#current.forget();
      if (!(await this.#hasNewWorker(before.pid))) continue;
      const now = await this.#current.observe();
      this.#reloads++;
      const tookMs = Math.round(clock.monotonicMs() - startMs);
      log.info({ proxy: this.id, reason, tookMs, pid: now.pid }, 'reloaded HAProxy');
      return;
    }
    throw routerErrors.reloadFailed(
      `HAProxy ${this.id} has not loaded ${this.#deps.paths.config} within ${reloadMs} ms; ` +
        "it goes on with the table it has. See the proxy's log for the line it refused",
    );
  }

  /** Both sockets must answer for it: master and workers are away for moments while they change. */
  async #hasNewWorker(oldPid: number): Promise<boolean> {
    try {
      const { current } = parseWorkers(await askOnce(this.#master, 'show proc'));
      const { pid, isStopping } = await this.#current.observe();
      return current === pid && pid !== oldPid && !isStopping;
    } catch (error) {
      if (hasCode(error, 'router.proxyUnreachable')) return false;
      throw error;
    }
  }

  /** A server that its checks found dead stays out in the new worker. */
  async #keepServerStates(): Promise<void> {
    const channel = socketChannel(join(this.#folder, 'stats.sock'));
    const [states = ''] = await channel.run(['show servers state']);
    await new TableFiles().write(join(this.#folder, 'servers.state'), states);
  }
}

function settledValue<T>(settled: PromiseSettledResult<T>): T {
  if (settled.status === 'rejected') throw settled.reason;
  return settled.value;
}

function isRefused(error: unknown): boolean {
  const { cause } = toAppError(error);
  return hasCode(error, 'router.proxyUnreachable') && hasCode(cause, 'ECONNREFUSED');
}

/** The master of 2.6 closes its socket while it reloads; whether it worked is seen by the worker that comes. */
function ignoreClosedMaster(): void {}
