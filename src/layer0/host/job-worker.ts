// Drives one job: plan, take the steps, plan again, until there is nothing to do or something to wait for.
// One pass at a time per job; what fails is tried again with back-off, from what is seen then.

import type { Log } from '#core/log';
import type { Random } from '#core/random';
import { createLoop, type Loop, type LoopStatus } from '#core/reconcile';
import type { Job } from '#layer0/scheduler/wire';
import { execute } from './act/executors.ts';
import type { ActDeps } from './act/outcome.ts';
import { maxRoundsPerPass, resyncMs } from './config.ts';
import { Deadlines } from './deadlines.ts';
import { kindsOf, type PlanContext, planJob } from './decide/plan-job.ts';
import { restartDelayMs } from './decide/restart.ts';
import { currentContainer } from './decide/status-of.ts';
import { hostErrors } from './errors.ts';
import { portsOf, serviceOf } from './labels.ts';
import type { Step, Wait } from './steps.ts';
import { emptyMemory, type Intent, type JobView } from './view.ts';
import type { JobStatus } from './wire.ts';

export interface WorkerDeps {
  act: ActDeps;
  random: Random;
  log: Log;
  /** Called after each pass. */
  onPass(worker: JobWorker): void;
}

const backoff = { minMs: 100, maxMs: 3_000 };

export class JobWorker {
  readonly jobId: string;
  readonly view: JobView;
  readonly #deps: WorkerDeps;
  readonly #loop: Loop;
  readonly #deadlines: Deadlines;
  /** The incarnation the record was last read in. */
  seenIn: string | undefined;
  /** What the last pass ended with; undefined: nothing left to do. */
  waiting: Wait | undefined;
  /** The last pass ended with nothing to do and nothing to wait for. */
  isSettled = false;

  constructor(jobId: string, status: JobStatus | undefined, deps: WorkerDeps) {
    const { act } = deps;
    this.jobId = jobId;
    this.#deps = deps;
    const containers = act.engine.of(jobId);
    this.view = {
      jobId,
      job: undefined,
      intent: 'leave',
      status,
      containers,
      memory: emptyMemory(),
    };
    this.#adopt();
    this.#deadlines = new Deadlines(act.clock);
    this.#loop = createLoop({
      name: `job-${jobId}`,
      run: (signal) => this.#pass(signal),
      resyncMs,
      backoff,
      clock: act.clock,
      random: deps.random,
      log: deps.log,
    });
  }

  start(): void {
    this.#loop.start();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  trigger(): void {
    this.isSettled = false;
    this.#loop.trigger();
  }

  /** What the record asks now. */
  set(job: Job | undefined, intent: Intent): void {
    if (job) this.view.job = job;
    this.view.intent = intent;
  }

  status(): LoopStatus & { waiting?: string } {
    return {
      ...this.#loop.status(),
      ...(this.waiting ? { waiting: this.waiting.reason } : {}),
    };
  }

  /** Takes over what an earlier life of the agent left: ports from the label, everything else is found out. */
  #adopt(): void {
    const { containers, status, memory, jobId } = this.view;
    const newest = containers.at(-1);
    if (!newest && !status) memory.registered = 'no';
    if (newest?.state === 'exited') memory.foundEnded = newest.id;
    const ports = newest && portsOf(newest);
    if (!ports || newest.state === 'exited') return;
    memory.ports = ports;
    this.#deps.act.ports.note(jobId, ports);
  }

  async #pass(signal: AbortSignal): Promise<void | { againMs: number }> {
    const { act } = this.#deps;
    const { memory } = this.view;
    try {
      this.waiting = await this.#drive(signal);
    } finally {
      if (memory.slot === 'held' || this.view.intent !== 'run') {
        act.slots.release(this.jobId);
        memory.slot = 'none';
      }
    }
    this.isSettled = this.waiting === undefined && !signal.aborted;
    this.#deps.onPass(this);
    if (this.waiting?.untilMs === undefined) return undefined;
    return { againMs: Math.max(0, this.waiting.untilMs - act.clock.monotonicMs()) };
  }

  async #drive(signal: AbortSignal): Promise<Wait | undefined> {
    const { act } = this.#deps;
    let last: readonly Step[] = [];
    for (let round = 0; round < maxRoundsPerPass; round++) {
      if (signal.aborted) return undefined;
      const plan = planJob(this.#look(), {
        hostId: act.config.hostId,
        now: act.clock.now(),
        monotonicMs: act.clock.monotonicMs(),
        due: this.#due(),
        drain: this.#drain(),
        tenure: { isHeld: act.tenure.isHeld, isOver: act.tenure.isOver },
      });
      if (plan.steps.length === 0) return plan.wait;
      last = plan.steps;
      await this.#take(plan.steps, signal);
    }
    throw hostErrors.notSettling(
      `job ${this.jobId} repeats ${kindsOf(last).join(', ')} without an end`,
      { detail: { steps: kindsOf(last) } },
    );
  }

  /** Takes the steps in order; stops early when what should be changed meanwhile. */
  async #take(steps: readonly Step[], signal: AbortSignal): Promise<void> {
    const { view } = this;
    const { intent } = view;
    for (const step of steps) {
      if (signal.aborted || view.intent !== intent) return;
      const outcome = await execute(step, view, this.#deps.act);
      this.#deps.act.onStep?.(step.kind, this.jobId);
      if ('done' in outcome) continue;
      view.memory.failure = outcome.failed;
      return;
    }
  }

  #look(): JobView {
    this.view.containers = this.#deps.act.engine.of(this.jobId);
    return this.view;
  }

  #due(): PlanContext['due'] {
    const { status, job } = this.view;
    const container = currentContainer(this.view);
    const due: PlanContext['due'] = {};
    if (status?.restartAt !== undefined) {
      const limitMs = restartDelayMs(status.restarts ?? 1);
      due.restartMs = this.#deadlines.dueMs('restart', status.restartAt, limitMs);
    }
    if (job && container?.state === 'running') {
      const { startTimeoutMs } = job.spec.health;
      const at = container.startedAt ?? container.createdAt;
      due.startMs = this.#deadlines.dueFromSightMs('start', at, startTimeoutMs);
    }
    return due;
  }

  #drain() {
    const { view } = this;
    const source = view.job ?? view.containers.at(-1);
    if (view.memory.registered !== 'draining' || !source)
      return { mayStop: true, waitsFor: [], isForLostOnly: false };
    const ref = { service: serviceOf(source), handle: this.jobId };
    const { discovery, config, isLost } = this.#deps.act;
    return discovery.drainStatus(ref, (machine) => machine !== config.hostId && isLost(machine));
  }
}
