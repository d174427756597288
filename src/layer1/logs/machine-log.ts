// The log of one machine while it is read together with others: first what there was, line by line, then what comes.

import type { LogEntry, LogLine } from './wire.ts';

/** What came next; without an entry the log is over. */
export interface Come {
  log: MachineLog;
  entry: LogEntry | undefined;
}

export class MachineLog {
  readonly machine: { id: string; name: string };
  /** The next line of what there was; undefined behind the last one. */
  line: LogLine | undefined;
  /** Where what there was ends, when what comes is read too. */
  mark: string | undefined;
  /** Why it ended before its time. */
  failure: unknown;
  isOver = false;
  readonly #entries: AsyncGenerator<LogEntry>;
  readonly #since: string | undefined;

  /** Lines that are not newer than `since` are passed over. */
  constructor(
    machine: { id: string; name: string },
    entries: AsyncGenerator<LogEntry>,
    since: string | undefined,
  ) {
    this.machine = machine;
    this.#entries = entries;
    this.#since = since;
  }

  /** Reads the next line of what there was. */
  async next(): Promise<void> {
    const entry = await this.#read();
    this.line = entry && 'text' in entry ? entry : undefined;
    if (entry && !this.line) this.mark = entry.cursor;
  }

  /** What comes; without an entry it is over. */
  async entry(): Promise<Come> {
    return { log: this, entry: await this.#read() };
  }

  async #read(): Promise<LogEntry | undefined> {
    try {
      for (;;) {
        const step = await this.#entries.next();
        if (step.done) break;
        const entry = step.value;
        const isOld = 'text' in entry && this.#since !== undefined && entry.time <= this.#since;
        if (!isOld) return entry;
      }
    } catch (error) {
      this.failure = error;
    }
    this.isOver = true;
    return undefined;
  }
}
