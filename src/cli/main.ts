// From words to an exit code: finds the command, loads it, runs it, and says what went wrong. Everything heavy waits behind import().

import type { Arguments } from './arguments.ts';
import type { Cluster } from './clusters.ts';
import type { Io } from './io.ts';
import { findCommand, isSlip, type KnownCommand } from './registry.ts';

export async function main(io: Io, argv: readonly string[]): Promise<number> {
  const [first] = argv;
  if (first === undefined || first === '--help' || first === '-h') {
    const { overview } = await import('./help.ts');
    io.stdout.write(overview());
    return 0;
  }
  const words = first === '--version' || first === '-v' ? ['version'] : verbFirst(argv);
  const found = findCommand(words);
  if (!found || isSlip(found.spec, found.rest)) return await refuseUnknown(io, words);
  return await run(io, found.spec, found.rest);
}

/** `gantry -a shop ps` is `gantry ps -a shop`. */
function verbFirst(argv: readonly string[]): string[] {
  const words = [...argv];
  const moved: string[] = [];
  while (words[0] === '-a' || words[0] === '--app' || words[0] === '--cluster')
    moved.push(...words.splice(0, 2));
  const found = findCommand(words);
  if (!found || moved.length === 0) return words;
  return [...words.slice(0, words.length - found.rest.length), ...moved, ...found.rest];
}

async function run(io: Io, spec: KnownCommand, rest: readonly string[]): Promise<number> {
  const { parseArguments } = await import('./arguments.ts');
  let args: Arguments;
  try {
    args = parseArguments(spec, rest);
  } catch (error) {
    return await report(io, error);
  }
  if (args.has('help')) {
    const { helpOf } = await import('./help.ts');
    io.stdout.write(helpOf(spec));
    return 0;
  }
  return await call(io, spec, args);
}

async function call(io: Io, spec: KnownCommand, args: Arguments): Promise<number> {
  const [{ CommandCall }, { Output }, { loaders }] = await Promise.all([
    import('./call.ts'),
    import('./output.ts'),
    import('./loaders.ts'),
  ]);
  const { env, stdout, stderr } = io;
  const out = new Output({ stdout, stderr, env });
  const running = new CommandCall({ spec, args, io, out });
  try {
    const command = await loaders[spec.name]();
    return (await command(running)) ?? 0;
  } catch (error) {
    return await report(io, error, running.cluster);
  }
}

async function report(io: Io, error: unknown, cluster?: Cluster): Promise<number> {
  const { printError } = await import('./report.ts');
  return printError(io, error, cluster);
}

async function refuseUnknown(io: Io, words: readonly string[]): Promise<number> {
  const { unknownCommand } = await import('./report.ts');
  return await report(io, unknownCommand(words));
}
