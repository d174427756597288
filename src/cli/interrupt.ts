// Ctrl-C while something is followed: what is followed goes on, the follower stops.

import { type Io, interruptedExitCode } from './io.ts';

/** Runs `follow` until it ends or Ctrl-C; then says `farewell`, if any, and answers the exit code of an interrupt. */
export async function untilInterrupted(
  io: Io,
  follow: (signal: AbortSignal) => Promise<number | undefined>,
  farewell?: () => void,
): Promise<number | undefined> {
  const interrupt = new AbortController();
  const release = io.onSignal('SIGINT', () => interrupt.abort());
  try {
    return await follow(interrupt.signal);
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    farewell?.();
    return interruptedExitCode;
  } finally {
    release();
  }
}
