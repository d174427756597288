// What happened, line by line: a hash of all of it, so that two runs can be compared, and the last lines for people.

import { createHash } from 'node:crypto';

/** Lines kept for a failure's report. */
const keptLines = 60;

export class Trace {
  readonly #hash = createHash('sha256');
  readonly #now: () => number;
  readonly #onLine: ((line: string) => void) | undefined;
  #last: string[] = [];
  lines = 0;

  constructor(now: () => number, onLine?: (line: string) => void) {
    this.#now = now;
    this.#onLine = onLine;
  }

  say(text: string): void {
    const line = `${(this.#now() / 1000).toFixed(3).padStart(8)} ${text}`;
    this.#hash.update(line);
    this.lines++;
    this.#last.push(line);
    if (this.#last.length > 2 * keptLines) this.#last = this.#last.slice(-keptLines);
    this.#onLine?.(line);
  }

  last(): string[] {
    return this.#last.slice(-keptLines);
  }

  digest(): string {
    return this.#hash.copy().digest('hex').slice(0, 16);
  }
}
