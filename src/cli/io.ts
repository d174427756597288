// Everything a command may touch of the process it runs in, so that a test can hand in its own.

import type { Readable, Writable } from 'node:stream';
import { type Clock, systemClock } from '#core/clock';

export type Input = Readable & { isTTY?: boolean; setRawMode?(isRaw: boolean): unknown };
export type Screen = Writable & { isTTY?: boolean; columns?: number; rows?: number };
export type SignalName = 'SIGINT' | 'SIGTERM' | 'SIGHUP' | 'SIGWINCH';

export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly stdin: Input;
  readonly stdout: Screen;
  readonly stderr: Screen;
  readonly clock: Clock;
  /** Takes a signal over from its default, which ends the process; the answer gives it back. */
  onSignal(name: SignalName, handle: () => void): () => void;
}

/** What a shell expects of a program that Ctrl-C ended. */
export const interruptedExitCode = 130;

/** The real process. A reader that went away (`| head`) and Ctrl-C end it without a word; to a terminal that is gone nothing is said. */
export function processIo(program: NodeJS.Process): Io {
  for (const stream of [program.stdout, program.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') program.exit(0);
      if (error.code !== 'EIO') throw error;
    });
  const handlers: (() => void)[] = [];
  program.on('SIGINT', () => {
    const newest = handlers.at(-1);
    if (newest) newest();
    else program.exit(interruptedExitCode);
  });
  const { env, stdin, stdout, stderr } = program;
  return {
    env,
    cwd: program.cwd(),
    stdin,
    stdout,
    stderr,
    clock: systemClock,
    onSignal(name, handle) {
      if (name !== 'SIGINT') {
        program.on(name, handle);
        return () => void program.off(name, handle);
      }
      handlers.push(handle);
      return () => void handlers.splice(handlers.indexOf(handle), 1);
    },
  };
}
