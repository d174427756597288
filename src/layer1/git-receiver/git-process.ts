// Runs git with nothing of this process's surroundings: no user or system configuration, no hooks from anywhere but ours.

import { type ChildProcess, spawn } from 'node:child_process';
import { dirname } from 'node:path';
import { text } from 'node:stream/consumers';
import { gitErrors } from './errors.ts';

export interface GitCall {
  args: string[];
  cwd: string;
  env?: Record<string, string>;
}

/** Last words of git kept for a message, bytes. */
const maxStderrBytes = 4096;

/** A git process in a group of its own, so that ending it ends its hook as well. Never sees our environment. */
export function startGit({ args, cwd, env = {} }: GitCall): ChildProcess {
  return spawn('git', args, { cwd, env: { ...baseEnv(), ...env }, detached: true });
}

function baseEnv(): Record<string, string> {
  return {
    PATH: `${dirname(process.execPath)}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
    HOME: '/nonexistent',
    LANG: 'C.UTF-8',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: 'safe.directory',
    GIT_CONFIG_VALUE_0: '*',
  };
}

/** Ends a process and what it started; one that has ended is no error. */
export function endGit(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, 'SIGTERM');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Runs git to its end and returns what it printed; a failure is git.failed with its last words. */
export async function runGit(call: GitCall): Promise<string> {
  const child = startGit(call);
  child.stdin?.end();
  const [out, problem, status] = await Promise.all([
    child.stdout ? text(child.stdout) : '',
    lastWords(child),
    exitStatus(child),
  ]);
  if (status === 0) return out;
  throw gitErrors.failed(`git ${call.args[0]} ended with status ${status}: ${problem}`);
}

export function exitStatus(child: ChildProcess): Promise<number | string> {
  return new Promise((resolve, reject) => {
    child.once('error', (cause) =>
      reject(gitErrors.failed(`git could not be started: ${cause.message}`, { cause })),
    );
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'));
  });
}

/** What it wrote to stderr, the last part of it, on one line. */
export async function lastWords(child: ChildProcess): Promise<string> {
  let kept = '';
  for await (const chunk of child.stderr ?? []) kept = (kept + chunk).slice(-maxStderrBytes);
  return kept.trim().replaceAll('\n', '; ');
}
