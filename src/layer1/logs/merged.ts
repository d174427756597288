// One log out of the histories of several machines: each keeps what was said on it, and they meet here. A machine that does not
// answer is said in the log, and never an end of it.

import type { Clock } from '#core/clock';
import { toAppError } from '#core/errors';
import { defaultLines } from './config.ts';
import {
  formatMergedCursor,
  type MergedCursor,
  parseMergedCursor,
} from './decide/merged-cursor.ts';
import { logsErrors } from './errors.ts';
import { type Come, MachineLog } from './machine-log.ts';
import type { LogEntry, LogLine, LogQuery } from './wire.ts';

/** A machine that has a history, or had one. */
export interface LogMachine {
  /** Host id. */
  id: string;
  /** For people. */
  name: string;
  /** Lines of this machine alone; undefined while its logs are not there. */
  read: ((query: LogQuery, signal: AbortSignal) => AsyncGenerator<LogEntry>) | undefined;
}

export interface MergedLogDeps {
  machines(): Promise<LogMachine[]>;
  clock: Clock;
}

/** How often a machine that is away is looked for by a reader that follows, milliseconds. */
const lookEveryMs = 2_000;
/** Most lines that a machine is asked for whose place in its history is not known. */
const mostLines = 100_000;

export async function* readMerged(
  deps: MergedLogDeps,
  query: LogQuery,
  signal: AbortSignal,
): AsyncGenerator<LogEntry> {
  const reader = new MergedLog(deps, query, signal);
  try {
    yield* reader.read();
  } finally {
    reader.close();
  }
}

class MergedLog {
  readonly #deps: MergedLogDeps;
  readonly #query: LogQuery;
  readonly #signal: AbortSignal;
  readonly #ended = new AbortController();
  readonly #places: Map<string, string>;
  /** Of a machine whose place is not known nothing from before is shown; undefined: it takes part in the last lines. */
  readonly #since: string | undefined;
  readonly #open = new Map<string, MachineLog>();
  /** Machines that are known to be away were said once. */
  readonly #away = new Set<string>();
  #time: string;

  constructor(deps: MergedLogDeps, query: LogQuery, signal: AbortSignal) {
    const from: MergedCursor | undefined =
      query.after === undefined ? undefined : parseMergedCursor(query.after);
    this.#deps = deps;
    this.#query = query;
    this.#signal = AbortSignal.any([signal, this.#ended.signal]);
    this.#places = new Map(from?.places);
    this.#since = from?.time;
    this.#time = from?.time ?? new Date(deps.clock.now()).toISOString();
  }

  async *read(): AsyncGenerator<LogEntry> {
    const machines = await this.#deps.machines();
    for (const machine of machines) this.#begin(machine, this.#since);
    const histories = [...this.#open.values()];
    await Promise.all(histories.map((history) => history.next()));
    const away = machines.filter(({ id }) => !this.#isHere(id));
    if (away.length === machines.length) throw this.#nothing(away);
    yield* this.#query.after === undefined ? this.#lastOf(histories) : this.#oldestFirst(histories);
    for (const { id, name } of away) yield this.#sayAway(id, name);
    if (this.#query.follow) yield* this.#follow();
  }

  close(): void {
    this.#ended.abort();
  }

  #isHere(id: string): boolean {
    return this.#open.has(id) && this.#open.get(id)?.failure === undefined;
  }

  #nothing(away: readonly LogMachine[]): unknown {
    const failures = away.map(({ id }) => this.#open.get(id)?.failure);
    return (
      failures.find((failure) => failure !== undefined) ??
      logsErrors.away(
        'the logs of this cluster are not running right now; `gantry ps -a gantry` says why',
      )
    );
  }

  #begin({ id, name, read }: LogMachine, since: string | undefined): void {
    this.#open.delete(id);
    if (!read) return;
    const { after: _merged, lines, ...rest } = this.#query;
    const place = this.#places.get(id);
    const from =
      place === undefined ? linesOf(since === undefined ? lines : mostLines) : { after: place };
    const log = read({ ...rest, ...from }, this.#signal);
    this.#open.set(id, new MachineLog({ id, name }, log, place === undefined ? since : undefined));
  }

  /** The last lines of all, by time; what is older than them was passed by. */
  async *#lastOf(histories: readonly MachineLog[]): AsyncGenerator<LogLine> {
    const wanted = this.#query.lines ?? defaultLines;
    const last: { log: MachineLog; line: LogLine }[] = [];
    for await (const one of oldestFirst(histories)) {
      last.push(one);
      const passed = last.length > wanted ? last.shift() : undefined;
      if (passed) this.#places.set(passed.log.machine.id, passed.line.cursor);
    }
    for (const { log, line } of last) yield this.#shown(log, line);
  }

  async *#oldestFirst(histories: readonly MachineLog[]): AsyncGenerator<LogLine> {
    for await (const { log, line } of oldestFirst(histories)) yield this.#shown(log, line);
  }

  /** As they come, each machine's in its order; who was away goes on where it was. */
  async *#follow(): AsyncGenerator<LogEntry> {
    const { clock } = this.#deps;
    const since = this.#since ?? new Date(clock.now()).toISOString();
    for (const { machine, mark } of this.#open.values())
      if (mark !== undefined) this.#places.set(machine.id, mark);
    yield this.#mark();
    const waits = new Map<string, Promise<Come>>();
    let look = this.#look();
    while (!this.#signal.aborted) {
      for (const log of this.#open.values())
        if (!log.isOver && !waits.has(log.machine.id)) waits.set(log.machine.id, log.entry());
      const next = await Promise.race([look, ...waits.values()]);
      if (Array.isArray(next)) {
        yield* this.#beginAgain(next, since);
        look = this.#look();
        continue;
      }
      waits.delete(next.log.machine.id);
      yield* this.#come(next);
    }
  }

  /** Machines that are back, or new, and those that went. */
  *#beginAgain(machines: readonly LogMachine[], since: string): Generator<LogEntry> {
    for (const machine of machines) {
      const isRead = this.#open.get(machine.id)?.isOver === false;
      if (isRead) continue;
      this.#begin(machine, since);
      if (!machine.read && !this.#away.has(machine.id))
        yield this.#sayAway(machine.id, machine.name);
    }
  }

  *#come({ log, entry }: Come): Generator<LogEntry> {
    const { id, name } = log.machine;
    if (entry && 'text' in entry) yield this.#shown(log, entry);
    else if (entry) {
      this.#away.delete(id);
      this.#places.set(id, entry.cursor);
      yield this.#mark();
    } else if (log.failure !== undefined && !this.#away.has(id)) yield this.#sayAway(id, name);
  }

  async #look(): Promise<LogMachine[]> {
    await this.#deps.clock.sleep(lookEveryMs, this.#signal).catch(() => undefined);
    // The store may be away as well: those that are known go on.
    return this.#signal.aborted ? [] : this.#deps.machines().catch(() => []);
  }

  #shown({ machine }: MachineLog, line: LogLine): LogLine {
    this.#away.delete(machine.id);
    this.#places.set(machine.id, line.cursor);
    if (line.time > this.#time || this.#since === undefined) this.#time = line.time;
    return { ...line, cursor: this.#mark().cursor };
  }

  #mark(): { cursor: string } {
    return { cursor: formatMergedCursor({ time: this.#time, places: this.#places }) };
  }

  /** Its lines are missing here, and nowhere else. */
  #sayAway(id: string, name: string): LogLine {
    this.#away.add(id);
    const failure = this.#open.get(id)?.failure;
    const why = failure === undefined ? 'its logs are not running' : toAppError(failure).message;
    const later = this.#query.follow ? ', until it is back' : '';
    return {
      time: new Date(this.#deps.clock.now()).toISOString(),
      app: this.#query.app,
      type: 'gantry',
      instance: 'gantry.1',
      job: '',
      stream: 'gantry',
      text: `lines of machine ${name} are missing here${later}: ${why}`,
      isGap: true,
      ...this.#mark(),
    };
  }
}

const linesOf = (lines: number | undefined) => (lines === undefined ? {} : { lines });

/** Lines of all histories by time, with no more than one of each in memory. */
async function* oldestFirst(
  histories: readonly MachineLog[],
): AsyncGenerator<{ log: MachineLog; line: LogLine }> {
  for (;;) {
    let first: { log: MachineLog; line: LogLine } | undefined;
    for (const log of histories)
      if (log.line && (first === undefined || log.line.time < first.line.time))
        first = { log, line: log.line };
    if (!first) return;
    yield first;
    await first.log.next();
  }
}
