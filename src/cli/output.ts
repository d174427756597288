// What a command says: answers on stdout, everything about the answers on stderr, so that a pipe gets only answers.

import { once } from 'node:events';
import type { Screen } from './io.ts';
import { type Colour, type Paint, paintFor } from './paint.ts';
import { type Cell, renderFacts, renderTable } from './table.ts';

export interface OutputOptions {
  stdout: Screen;
  stderr: Screen;
  env: Readonly<Record<string, string | undefined>>;
}

export class Output {
  readonly paint: Paint;
  readonly #paintNote: Paint;
  readonly #stdout: Screen;
  readonly #stderr: Screen;

  constructor({ stdout, stderr, env }: OutputOptions) {
    this.#stdout = stdout;
    this.#stderr = stderr;
    this.paint = paintFor(stdout, env);
    this.#paintNote = paintFor(stderr, env);
  }

  line(text: string): undefined {
    this.#stdout.write(`${text}\n`);
  }

  /** For what is not the answer: progress, hints, warnings. */
  note(text: string, colour?: Colour): undefined {
    this.#stderr.write(`${this.#paintNote(text, colour)}\n`);
  }

  /** A line of a stream without end: waits for a reader that is slower. */
  async stream(text: string): Promise<void> {
    if (!this.#stdout.write(`${text}\n`)) await once(this.#stdout, 'drain');
  }

  json(value: unknown): undefined {
    this.line(JSON.stringify(value, undefined, 2));
  }

  table(header: readonly string[], rows: readonly Cell[][]): undefined {
    this.#stdout.write(renderTable(header, rows, this.paint));
  }

  facts(facts: readonly (readonly [string, Cell])[]): undefined {
    this.#stdout.write(renderFacts(facts, this.paint));
  }
}
