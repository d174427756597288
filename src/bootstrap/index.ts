// The door of bootstrap: one call a script, errors as one sentence and an exit code.

import { createInterface } from 'node:readline/promises';
import { toAppError } from '#core/errors';
import { down } from './down.ts';
import { bootstrapErrors } from './errors.ts';
import { downHelp, parseDown, parseUp, upHelp } from './options.ts';
import { createProgress } from './progress.ts';
import { up } from './up.ts';
import { findPerson } from './user.ts';

export interface CommandContext {
  checkout: string;
  env: Record<string, string | undefined>;
}

/** Runs `up` or `down` as the process's whole work: sets the exit code, prints what went wrong. */
export async function runCommand(
  name: 'up' | 'down',
  args: string[],
  context: CommandContext,
): Promise<void> {
  try {
    await (name === 'up' ? runUp(args, context) : runDown(args, context));
  } catch (error) {
    const known = toAppError(error);
    process.stderr.write(`\nscript/${name}: ${known.message}\n`);
    if (known.code === 'core.internal' && error instanceof Error) {
      process.stderr.write(`${error.stack}\n`);
    }
    process.exitCode = known.code === 'bootstrap.option' ? 2 : 1;
  }
}

async function runUp(args: string[], context: CommandContext): Promise<void> {
  const options = parseUp(args);
  if (!options) return void process.stdout.write(upHelp);
  await up(options, { ...context, progress: createProgress(process.stdout) });
}

async function runDown(args: string[], { env }: CommandContext): Promise<void> {
  const options = parseDown(args);
  if (!options) return void process.stdout.write(downHelp);
  if (!options.isYes) await confirm(options.home);
  await down(options.home, {
    progress: createProgress(process.stdout),
    person: await findPerson(env),
  });
}

async function confirm(home: string): Promise<void> {
  if (!process.stdin.isTTY) {
    throw bootstrapErrors.option('this removes all apps and their data: say --yes');
  }
  const prompt = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await prompt.question(
    `This removes every app of this machine with its data (${home}). Type "yes" to go on: `,
  );
  prompt.close();
  if (answer.trim() !== 'yes') throw bootstrapErrors.option('nothing was removed');
}
