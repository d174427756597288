// The words of a command line against what the command takes: values, or one sentence about the first wrong word.

import { parseArgs } from 'node:util';
import type { CommandSpec, OptionSpec } from './command.ts';
import { cliErrors } from './errors.ts';
import { nearest } from './nearest.ts';
import { optionsOf, usageOf } from './options.ts';

export class Arguments {
  readonly words: readonly string[];
  readonly #values: ReadonlyMap<string, readonly string[]>;

  constructor(words: readonly string[], values: ReadonlyMap<string, readonly string[]>) {
    this.words = words;
    this.#values = values;
  }

  has(option: string): boolean {
    return this.#values.has(option);
  }

  text(option: string): string | undefined {
    return this.#values.get(option)?.at(-1);
  }

  texts(option: string): readonly string[] {
    return this.#values.get(option) ?? [];
  }

  /** A whole number within the limits. */
  number(option: string, [min, max]: readonly [number, number]): number | undefined {
    const text = this.text(option);
    if (text === undefined) return undefined;
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw cliErrors.usage(`--${option} ${text} is not a whole number from ${min} to ${max}`);
  }
}

export function parseArguments(spec: CommandSpec, argv: readonly string[]): Arguments {
  const options = optionsOf(spec);
  const [own, rest] = spec.passesRest ? splitRest(argv, options) : [argv, []];
  const tokens = tokensOf(own, options);
  const words: string[] = [];
  const values = new Map<string, string[]>();
  for (const token of tokens) {
    if (token.kind === 'positional') words.push(token.value);
    if (token.kind !== 'option') continue;
    const value = checkOption(token, options, spec);
    const known = values.get(token.name);
    if (known && options[token.name]?.value !== undefined && !options[token.name]?.isRepeatable)
      throw cliErrors.usage(`${token.rawName} is given twice; say it once`);
    values.set(token.name, [...(known ?? []), value]);
  }
  words.push(...rest);
  if (!values.has('help')) checkWords(spec, words);
  return new Arguments(words, values);
}

function tokensOf(argv: readonly string[], options: Record<string, OptionSpec>) {
  const config = Object.fromEntries(
    Object.entries(options).map(([name, { short, value }]) => [
      name,
      {
        type: value === undefined ? ('boolean' as const) : ('string' as const),
        ...(short === undefined ? {} : { short }),
      },
    ]),
  );
  return parseArgs({
    args: [...argv],
    options: config,
    strict: false,
    allowPositionals: true,
    tokens: true,
  }).tokens;
}

interface OptionToken {
  name: string;
  rawName: string;
  value?: string | undefined;
}

function checkOption(
  { name, rawName, value }: OptionToken,
  options: Record<string, OptionSpec>,
  spec: CommandSpec,
): string {
  const option = Object.hasOwn(options, name) ? options[name] : undefined;
  if (!option) {
    const guess = nearest(name, Object.keys(options));
    const hint = guess ? `did you mean --${guess}?` : `see gantry ${spec.name} --help`;
    throw cliErrors.usage(`gantry ${spec.name} has no option ${rawName}; ${hint}`);
  }
  if (option.value === undefined) {
    if (value === undefined) return '';
    throw cliErrors.usage(`${rawName} takes no value`);
  }
  // An option in place of a value is a forgotten value, unless it is glued on with `=`.
  if (value === undefined) throw cliErrors.usage(`${rawName} needs a value: ${option.value}`);
  return value;
}

function checkWords(spec: CommandSpec, words: readonly string[]): void {
  const [fewest, most] = spec.takes ?? [0, 0];
  const usage = `usage: ${usageOf(spec)}`;
  if (words.length < fewest)
    throw cliErrors.usage(`gantry ${spec.name} needs more to go on; ${usage}`);
  if (words.length > most)
    throw cliErrors.usage(
      `gantry ${spec.name} does not know what to do with ${JSON.stringify(words[most])}; ${usage}`,
    );
}

/** Everything from the first word that is neither an option nor its value; a `--` before it is dropped. */
function splitRest(
  argv: readonly string[],
  options: Record<string, OptionSpec>,
): [string[], string[]] {
  const first = tokensOf(argv, options).find(
    ({ kind }) => kind === 'positional' || kind === 'option-terminator',
  );
  if (!first) return [[...argv], []];
  const start = first.kind === 'positional' ? first.index : first.index + 1;
  return [argv.slice(0, first.index), argv.slice(start)];
}
