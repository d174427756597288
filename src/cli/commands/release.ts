// `gantry release`, `release show`, `release rollback`

import { newId } from '#core/ids';
import type { ReleaseView } from '#layer1/controller/client';
import type { Call } from '../command.ts';
import { followReleased, parseVersion } from '../follow-deployment.ts';
import { stateColour } from '../paint.ts';
import { agoText, dateText } from '../units.ts';

const usualReleases = 20;
const maxReleases = 100;

export async function listReleases(call: Call): Promise<undefined> {
  const { out, args, io } = call;
  const limit = args.number('number', [1, maxReleases]) ?? usualReleases;
  const { api, app } = await call.target();
  const { items, next } = await api.listReleases(app, { limit });
  if (args.has('json')) return out.json(items);
  if (items.length === 0)
    return out.note(`${app} has no release yet: push code or deploy an image.`);
  const now = io.clock.now();
  out.table(
    ['RELEASE', 'STATE', 'WHEN', 'BY', 'DESCRIPTION'],
    items.map((release) => [
      `v${release.version}`,
      { text: stateOf(release), colour: stateColour(release.isCurrent ? 'up' : stateOf(release)) },
      agoText(release.createdAt, now),
      release.createdBy,
      release.description,
    ]),
  );
  if (next !== undefined) out.note(`There are older ones: gantry release -n ${maxReleases}`, 'dim');
}

/** `complete` says nothing of an old release: it went well once. */
function stateOf(release: ReleaseView): string {
  const { isCurrent } = release;
  const state: string = release.state ?? 'not deployed';
  if (isCurrent) return state === 'complete' ? 'current' : `current, ${state}`;
  return state === 'complete' ? 'earlier' : state;
}

export async function showRelease(call: Call): Promise<undefined> {
  const { out, args, io } = call;
  const version = parseVersion(args.words[0] ?? '');
  const { api, app } = await call.target();
  const release = await api.readRelease(app, version);
  if (args.has('json')) return out.json(release);
  const { createdAt, createdBy, description, commit, imageId, env, processes } = release;
  const now = io.clock.now();
  out.facts([
    ['Release', `v${version} of ${app}`],
    ['State', { text: stateOf(release), colour: stateColour(stateOf(release)) }],
    ['Description', description],
    ['Made', `${agoText(createdAt, now)} (${dateText(createdAt)}) by ${createdBy}`],
    ['Commit', commit ?? ''],
    ['Image', imageId ?? 'none: only config'],
    ['Config', Object.keys(env).sort().join(', ')],
    ...Object.entries(processes).map(
      ([type, process], index) =>
        [index === 0 ? 'Processes' : '', `${type}: ${processText(process)}`] as const,
    ),
    ['Id', release.id],
  ]);
}

function processText({ command, entrypoint, port }: ReleaseView['processes'][string]): string {
  const words = [...(entrypoint ?? []), ...(command ?? [])];
  const text = words.length === 0 ? "the image's own command" : words.join(' ');
  return port === undefined ? text : `${text} (port ${port})`;
}

export async function rollBack(call: Call): Promise<number | undefined> {
  const [text] = call.args.words;
  const version = text === undefined ? undefined : parseVersion(text);
  const target = await call.target();
  const options = { idempotencyKey: newId('req') };
  const released = await target.api.rollBack(target.app, version, options);
  return await followReleased(call, target, released);
}
