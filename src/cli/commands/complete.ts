// `gantry __complete`: what can follow the words of a line, one candidate a line. It runs at every press of a key: what it
// cannot know quickly it leaves out, and it never says anything else.

import { parseArguments } from '../arguments.ts';
import { CommandCall } from '../call.ts';
import type { Call, CommandSpec } from '../command.ts';
import { optionsOf } from '../options.ts';
import { commands, findCommand } from '../registry.ts';

/** A person who pressed the tab key waits no longer. */
const maxWaitMs = 1_000;

export async function complete(call: Call): Promise<undefined> {
  const words = call.args.words;
  const typed = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  const candidates = await within(call, candidatesFor(call, before, typed));
  const fitting = [...new Set(candidates)].filter((candidate) => candidate.startsWith(typed));
  for (const candidate of fitting.sort()) call.out.line(candidate);
}

function within({ io }: Call, found: Promise<string[]>): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const late = io.clock.timer(maxWaitMs, () => resolve([]));
    found.finally(() => late.cancel()).then(resolve, reject);
  });
}

async function candidatesFor(
  call: Call,
  before: readonly string[],
  typed: string,
): Promise<string[]> {
  const found = findCommand(before);
  if (!found) return before.length === 0 ? verbs(typed) : [];
  const { spec, rest } = found;
  const options = optionsOf(spec);
  const value = valueWanted(spec, rest.at(-1));
  if (value !== undefined) return await valuesFor(call, found, value);
  if (typed.startsWith('-')) return Object.keys(options).map((name) => `--${name}`);
  const second = rest.length === 0 ? secondWords(spec.name) : [];
  return [...second, ...(await wordsFor(call, spec, rest))];
}

function verbs(typed: string): string[] {
  const shown = commands.filter(({ isHidden }) => !isHidden);
  const names = shown.flatMap(({ name, aliases = [] }) => [name, ...aliases]);
  // Heroku's names are for the fingers that know them: they appear from the first colon on.
  return typed.includes(':')
    ? names.map((name) => name.replace(' ', ':'))
    : shown.map(({ name }) => name.split(' ')[0] ?? name);
}

function secondWords(first: string): string[] {
  return commands.flatMap(({ name }) => {
    const [one, two] = name.split(' ');
    return one === first && two !== undefined ? [two] : [];
  });
}

/** The placeholder of the option whose value is being typed. */
function valueWanted(spec: CommandSpec, last: string | undefined): string | undefined {
  const [, dashes, name] = /^(--?)(.+)$/.exec(last ?? '') ?? [];
  if (name === undefined) return undefined;
  const entry = Object.entries(optionsOf(spec)).find(([long, { short }]) =>
    dashes === '--' ? long === name : short === name,
  );
  return entry?.[1].value;
}

/** What the placeholder of an option stands for. */
async function valuesFor(
  call: Call,
  { spec, rest }: { spec: CommandSpec; rest: readonly string[] },
  value: string,
): Promise<string[]> {
  if (spec.name === 'kill' && value === 'SIGNAL') return ['TERM', 'KILL', 'INT', 'HUP', 'USR1'];
  const source = valueSources[value];
  return source ? await ask(call, spec, value === 'APP' ? [] : rest.slice(0, -1), source) : [];
}

type Ask = (call: CommandCall) => Promise<string[]>;

async function wordsFor(call: Call, spec: CommandSpec, rest: readonly string[]): Promise<string[]> {
  if (spec.name === 'completion') return ['bash', 'zsh', 'fish'];
  if (spec.name === 'help') return commands.map(({ name }) => name.split(' ')[0] ?? name);
  if (spec.name === 'route add') return rest.length === 0 ? ['http', 'tcp'] : [];
  const source = sources[spec.name];
  return source ? await ask(call, spec, rest, source) : [];
}

const appNames: Ask = async (call) => {
  const { api } = await call.connect();
  return (await api.listApps()).map(({ name }) => name);
};

const processNames: Ask = async (call) => {
  const { api, app } = await call.target();
  return (await api.listJobs(app)).filter(({ state }) => state !== 'down').map(({ name }) => name);
};

const envNames: Ask = async (call) => {
  const { api, app } = await call.target();
  return Object.keys(await api.readEnv(app));
};

const releaseNames: Ask = async (call) => {
  const { api, app } = await call.target();
  return (await api.listReleases(app)).items.map(({ version }) => `v${version}`);
};

const processTypes: Ask = async (call) => {
  const { api, app } = await call.target();
  return Object.keys((await api.readFormation(app)).quantities);
};

const valueSources: Readonly<Record<string, Ask>> = {
  APP: appNames,
  VERSION: releaseNames,
  TYPE: processTypes,
  NAME: processNames,
};

const routePlaces: Ask = async (call) => {
  const { api, app } = await call.target();
  return (await api.listRoutes(app)).map(({ domain, path = '', port }) =>
    domain === undefined ? String(port) : `${domain}${path}`,
  );
};

const deploymentIds: Ask = async (call) => {
  const { api, app } = await call.target();
  return (await api.listDeployments(app)).map(({ id }) => id);
};

const tokenNames: Ask = async (call) => {
  const { api } = await call.connect();
  return (await api.listTokens()).map(({ name }) => name);
};

const certificateDomains: Ask = async (call) => {
  const { api } = await call.connect();
  return (await api.listCertificates()).map(({ domain }) => domain);
};

const sources: Readonly<Record<string, Ask>> = {
  kill: processNames,
  'env get': envNames,
  'env unset': envNames,
  'release show': releaseNames,
  'release rollback': releaseNames,
  scale: async (call) => (await processTypes(call)).map((type) => `${type}=`),
  'limit set': async (call) => [...(await processTypes(call)), 'run'],
  'deployment show': deploymentIds,
  'route remove': routePlaces,
  'token revoke': tokenNames,
  'certificate remove': certificateDomains,
  priority: async () => ['low', 'normal', 'high'],
  strategy: async () => ['rolling', 'one-by-one', 'in-batches=', 'all-at-once'],
};

/** The options typed so far say which app and cluster. A line that is not finished, or an API that is not there, has no candidates. */
async function ask(
  { io, out }: Call,
  spec: CommandSpec,
  rest: readonly string[],
  source: Ask,
): Promise<string[]> {
  try {
    const open = { ...spec, takes: [0, 1_000] as const };
    return await source(new CommandCall({ spec: open, args: parseArguments(open, rest), io, out }));
  } catch {
    return [];
  }
}
