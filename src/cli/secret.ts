// A question whose answer is not shown while it is typed.

import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { cliErrors } from './errors.ts';
import type { Io } from './io.ts';

export function askSecretly({ stdin, stderr }: Io, question: string): Promise<string> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const terminal = createInterface({ input: stdin, output: nowhere, terminal: true });
  stderr.write(question);
  return new Promise((resolve, reject) => {
    terminal.once('line', (line) => {
      resolve(line);
      terminal.close();
    });
    terminal.once('close', () => {
      stderr.write('\n');
      reject(cliErrors.refused('nothing was entered; nothing was changed'));
    });
  });
}
