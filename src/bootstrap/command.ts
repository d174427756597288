// Runs other programs: output captured, a failure says which program, how it was called and how it ended.

import { spawn } from 'node:child_process';
import { bootstrapErrors } from './errors.ts';

export interface CommandOptions {
  cwd?: string;
  env?: Record<string, string | undefined>;
  /** Called with each piece of output as it comes, stderr too. */
  onOutput?: (text: string) => void;
}

/** Standard output of the program. Exit other than 0 is bootstrap.command with the end of what it said. */
export function run(
  program: string,
  args: string[],
  options: CommandOptions = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      ...(options.cwd ? { cwd: options.cwd } : {}),
      ...(options.env ? { env: options.env } : {}),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let tail = '';
    const take = (text: string) => {
      tail = (tail + text).slice(-2000);
      options.onOutput?.(text);
    };
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      take(text);
    });
    child.stderr.setEncoding('utf8').on('data', take);
    child.once('error', (cause) => {
      reject(
        bootstrapErrors.command(`${program} could not be started: ${cause.message}`, { cause }),
      );
    });
    child.once('close', (code, signal) => {
      if (code === 0) return resolve(stdout);
      const call = [program, ...args].join(' ').slice(0, 200);
      const end = signal ? `signal ${signal}` : `exit ${code}`;
      reject(bootstrapErrors.command(`${call}: ${end}\n${tail.trim()}`));
    });
  });
}
