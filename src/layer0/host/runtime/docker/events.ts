// What happens to containers, as it happens. Connects again for ever; each connection begins with a resync,
// because the engine does not repeat what was missed.

import type { Clock } from '#core/clock';
import { coreErrors } from '#core/errors';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import { backoffMs } from '#core/retry';
import { fromNdjson } from '#core/stream';
import type { EngineEvent } from '../runtime.ts';
import { labelFilter } from './containers.ts';
import type { EngineTransport } from './transport.ts';

const reconnect = { minMs: 50, maxMs: 2000 };
const actions = ['start', 'die', 'destroy', 'oom'] as const;
type Action = (typeof actions)[number];

interface RawEvent {
  Type: string;
  Action: string;
  Actor: { ID: string; Attributes?: Record<string, string> };
}

interface EventDeps {
  transport: EngineTransport;
  clock: Clock;
  random: Random;
  log: Log;
}

export async function* containerEvents(
  deps: EventDeps,
  labels: Record<string, string>,
  signal: AbortSignal,
): AsyncGenerator<EngineEvent> {
  for (let failures = 0; !signal.aborted; ) {
    try {
      for await (const event of connection(deps.transport, labels, signal)) {
        failures = 0;
        yield event;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (failures === 0) deps.log.warn({ err: error }, 'lost the event stream of the engine');
    }
    if (signal.aborted) return;
    failures++;
    if (!(await slept(deps, backoffMs(failures, reconnect, deps.random), signal))) return;
  }
}

/** One connection: a resync when the engine has begun to send, then its events until it breaks off. */
async function* connection(
  transport: EngineTransport,
  labels: Record<string, string>,
  signal: AbortSignal,
): AsyncGenerator<EngineEvent> {
  const filters = { type: ['container'], event: [...actions], label: labelFilter(labels) };
  const response = await transport.open({
    method: 'GET',
    path: '/events',
    attempt: 'follow the events of the engine',
    query: { filters: JSON.stringify(filters) },
    signal,
  });
  const hangUp = () => void response.destroy(coreErrors.aborted('the reader of events stopped'));
  signal.addEventListener('abort', hangUp, { once: true });
  try {
    yield { type: 'resync' };
    for await (const raw of fromNdjson<RawEvent>(response)) {
      const event = toEvent(raw);
      if (event) yield event;
    }
  } finally {
    signal.removeEventListener('abort', hangUp);
    response.destroy();
  }
}

function toEvent({ Type, Action, Actor }: RawEvent): EngineEvent | undefined {
  const action = actions.find((name): name is Action => name === Action);
  if (Type !== 'container' || !action) return undefined;
  // The engine mixes a few facts of its own into the labels.
  const { image: _image, name: _name, exitCode: _code, ...labels } = Actor.Attributes ?? {};
  return { type: 'container', action, id: Actor.ID, labels };
}

async function slept({ clock }: EventDeps, ms: number, signal: AbortSignal): Promise<boolean> {
  return clock.sleep(ms, signal).then(
    () => true,
    () => false,
  );
}
