// Containers of the engine: create, start, signal, wait, remove, look. Every call may be repeated.

import type { Clock } from '#core/clock';
import { hasCode } from '#core/errors';
import { engineErrors } from '../errors.ts';
import { type Container, type ContainerSpec, isSameAttempt, type Runtime } from '../runtime.ts';
import { containerBody, type InspectedContainer, toContainer } from './container-body.ts';
import type { EngineTransport } from './transport.ts';
import { waitForExit } from './wait.ts';

type ContainerCalls = Pick<
  Runtime,
  'list' | 'inspect' | 'create' | 'start' | 'signal' | 'remove' | 'wait'
>;

/** Inspects in flight for one list. */
const inspectsAtOnce = 8;
/** How often, and how many times, a name or a removal that is in progress is looked at again. */
const settleMs = 50;
const settleTries = 100;

/** What a call needs of the engine. */
export interface Engine {
  transport: EngineTransport;
  clock: Clock;
}

export function createContainerCalls(engine: Engine): ContainerCalls {
  const inspect = (id: string) => inspectContainer(engine, id);
  return {
    list: (labels) => listContainers(engine, labels),
    inspect,
    create: (spec) => createContainer(engine, spec),
    start: (id) => startContainer(engine, id),
    signal: (id, name) => signalContainer(engine, id, name),
    remove: (id) => removeContainer(engine, id),
    wait: (id, abort) => waitForExit({ ...engine, inspect }, id, abort),
  };
}

async function findContainer({ transport }: Engine, idOrName: string) {
  const path = `/containers/${encodeURIComponent(idOrName)}/json`;
  const call = { method: 'GET', path, attempt: `inspect container ${idOrName}` } as const;
  return absentIsUndefined(transport.json<InspectedContainer>(call));
}

async function inspectContainer(engine: Engine, id: string): Promise<Container | undefined> {
  const seen = await findContainer(engine, id);
  return seen && toContainer(seen);
}

async function listContainers(engine: Engine, labels: Record<string, string>) {
  const query = { all: 1, filters: JSON.stringify({ label: labelFilter(labels) }) };
  const path = '/containers/json';
  const call = { method: 'GET', path, attempt: 'list containers', query } as const;
  const summaries = await engine.transport.json<{ Id: string }[]>(call);
  const ids = summaries.map((summary) => summary.Id);
  const found = await mapLimited(ids, inspectsAtOnce, (id) => inspectContainer(engine, id));
  return found.filter((container) => container !== undefined);
}

async function createContainer(engine: Engine, spec: ContainerSpec): Promise<string> {
  const { transport, clock } = engine;
  const call = {
    method: 'POST',
    path: '/containers/create',
    attempt: `create container ${spec.name}`,
    query: { name: spec.name },
    body: containerBody(spec, await transport.apiVersion()),
  } as const;
  for (let tries = 1; ; tries++) {
    try {
      return (await transport.json<{ Id: string }>(call)).Id;
    } catch (error) {
      if (hasCode(error, 'engine.notFound') && isAboutImage(error))
        throw engineErrors.imageMissing(
          `could not create container ${spec.name}: image ${spec.image} is not on this machine`,
          { cause: error },
        );
      if (!hasCode(error, 'engine.conflict') || tries >= settleTries) throw error;
      const id = await adopt(engine, spec, error);
      if (id !== undefined) return id;
      await clock.sleep(settleMs);
    }
  }
}

/** The name is taken: by our own earlier call that got no answer, by one still in progress (undefined), or by a stranger. */
async function adopt(engine: Engine, spec: ContainerSpec, conflict: unknown) {
  const other = await findContainer(engine, spec.name);
  if (!other) return undefined;
  if (isSameAttempt(other.Config.Labels ?? {}, spec.labels)) return other.Id;
  throw engineErrors.conflict(
    `could not create container ${spec.name}: ${other.Id.slice(0, 12)} has that name and is not of this job and attempt: remove it`,
    { cause: conflict },
  );
}

async function startContainer({ transport }: Engine, id: string): Promise<void> {
  const path = `/containers/${id}/start`;
  try {
    await transport.json({ method: 'POST', path, attempt: `start container ${id}` });
  } catch (error) {
    // The engine has no code of its own for "the process cannot be started": it is a 400, 403 or 500 with a text.
    if (!(hasCode(error, 'engine.refused') || hasCode(error, 'engine.failed'))) throw error;
    if (isAboutMachine(error)) throw error;
    throw engineErrors.startFailed(messageOf(error), { cause: error });
  }
}

async function signalContainer({ transport }: Engine, id: string, name: string): Promise<void> {
  const call = { method: 'POST', path: `/containers/${id}/kill` } as const;
  const attempt = `send ${name} to container ${id}`;
  await transport
    .json({ ...call, attempt, query: { signal: name } })
    .catch(ignore('engine.notFound', 'engine.conflict'));
}

async function removeContainer({ transport, clock }: Engine, id: string): Promise<void> {
  const call = { method: 'DELETE', path: `/containers/${id}` } as const;
  const query = { force: 1, v: 1 };
  for (let tries = 1; ; tries++) {
    try {
      await transport.json({ ...call, attempt: `remove container ${id}`, query });
      return;
    } catch (error) {
      if (hasCode(error, 'engine.notFound')) return;
      // Somebody else is removing it: it is gone only when the engine says so.
      if (!hasCode(error, 'engine.conflict') || tries >= settleTries) throw error;
      await clock.sleep(settleMs);
    }
  }
}

function isAboutImage(error: unknown): boolean {
  return /no such image/i.test(messageOf(error));
}

/** Failures of the machine, not of the container: worth another try without anyone changing the spec. */
function isAboutMachine(error: unknown): boolean {
  return /no space left|cannot allocate memory|too many open files|resource temporarily/i.test(
    messageOf(error),
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export function labelFilter(labels: Record<string, string>): string[] {
  return Object.entries(labels).map(([name, value]) => `${name}=${value}`);
}

/** A catch handler for outcomes that mean "already so". */
export function ignore(...codes: string[]): (error: unknown) => undefined {
  return (error) => {
    if (!codes.some((code) => hasCode(error, code))) throw error;
  };
}

export async function absentIsUndefined<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (hasCode(error, 'engine.notFound')) return undefined;
    throw error;
  }
}

/** Maps with at most `limit` calls in flight, keeping the order. */
export async function mapLimited<T, R>(
  items: T[],
  limit: number,
  call: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const entries = items.entries();
  const worker = async () => {
    for (const [index, item] of entries) results[index] = await call(item);
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
  return results;
}
