// The fence of one machine: what src/layer0/host/fence.ts does by files and the kernel's list of processes. It goes on while the
// daemon stands still or is dead, and forgets everything with the machine's power.

import type { Clock, Timer } from '#core/clock';
import type { FakeRuntime } from '../../src/layer0/host/runtime/fake.ts';
import type { TenureBook } from '../../src/layer0/host/tenure.ts';

/** Between two looks. */
const lookMs = 250;

export class SingletonFence implements TenureBook {
  readonly #runtime: FakeRuntime;
  readonly #clock: Clock;
  readonly #guarded = new Set<string>();
  #until = 0;
  #timer: Timer | undefined;

  /** `clock`: of the machine, and no process of it. */
  constructor(runtime: FakeRuntime, clock: Clock) {
    this.#runtime = runtime;
    this.#clock = clock;
  }

  /** What runs must be ended. */
  get isOver(): boolean {
    return this.#clock.monotonicMs() >= this.#until;
  }

  async uptimeMs(): Promise<number> {
    return this.#clock.monotonicMs();
  }

  async readUntil(): Promise<number> {
    return this.#until;
  }

  async say(untilMs: number): Promise<void> {
    this.#until = untilMs;
  }

  async guard(containerId: string): Promise<void> {
    this.#guarded.add(containerId);
    this.#timer ??= this.#clock.timer(lookMs, () => this.#look());
  }

  async keep(containerIds: ReadonlySet<string>): Promise<void> {
    for (const id of this.#guarded) if (!containerIds.has(id)) this.#guarded.delete(id);
  }

  powerOff(): void {
    this.#until = 0;
    this.#guarded.clear();
  }

  #look(): void {
    this.#timer = undefined;
    if (this.#guarded.size === 0) return;
    if (this.isOver) for (const id of this.#guarded) this.#runtime.exit(id, 137);
    const inMs = Math.max(lookMs, this.#until - this.#clock.monotonicMs());
    this.#timer = this.#clock.timer(inMs, () => this.#look());
  }
}
