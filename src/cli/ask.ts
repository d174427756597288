// A question to the person at the terminal; Ctrl-C and the end of input are a no.

import { createInterface } from 'node:readline/promises';
import { cliErrors } from './errors.ts';
import type { Io } from './io.ts';

/** `refused` says what a no leaves undone: `nothing was deleted`. */
export async function ask(io: Io, question: string, refused: string): Promise<string> {
  const terminal = createInterface({ input: io.stdin, output: io.stderr });
  const interrupted = new AbortController();
  terminal.once('close', () => interrupted.abort());
  try {
    return await terminal.question(question, { signal: interrupted.signal });
  } catch (cause) {
    io.stderr.write('\n');
    throw cliErrors.refused(refused, { cause });
  } finally {
    terminal.close();
  }
}
