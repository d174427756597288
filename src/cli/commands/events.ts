// `gantry events`

import { coreErrors } from '#core/errors';
import type { Event, Page } from '#layer1/controller/client';
import type { Call, Connection } from '../command.ts';
import { cliErrors } from '../errors.ts';
import { untilInterrupted } from '../interrupt.ts';
import { reopened } from '../lost.ts';
import { oneLine } from '../table.ts';
import { dateText } from '../units.ts';

const usualEvents = 50;
const maxEvents = 1_000;

export async function showEvents(call: Call): Promise<number | undefined> {
  const { args, io, out } = call;
  const from = fromOf(call);
  const app = args.text('app');
  const query = app === undefined ? {} : { app };
  const { api } = await call.connect();
  const print = (event: Event) =>
    out.stream(args.has('json') ? JSON.stringify(event) : eventText(event));
  const isFollowed = args.has('follow');
  // Read first: what happens while the others are read is after it.
  const last = isFollowed ? await lastEventId(api) : 0;
  const items = await readFrom(api, query, from);
  if (args.has('json') && !isFollowed) return out.json(items);
  for (const event of items) await print(event);
  if (!isFollowed) return undefined;
  let after = items.at(-1)?.id ?? from.after ?? last;
  return await untilInterrupted(io, async (signal) => {
    const stream = reopened({
      clock: io.clock,
      signal,
      open: () => withoutEnd(api.followEvents({ ...query, after }, signal)),
      onLost: () => out.note('-- connection lost; trying again --', 'yellow'),
      onBack: () => out.note('-- connected again --', 'yellow'),
    });
    for await (const event of stream) {
      after = event.id;
      await print(event);
    }
    return undefined;
  });
}

interface From {
  /** The newest so many, or all after one. */
  lines: number;
  after?: number;
}

function fromOf({ args }: Call): From {
  const lines = args.number('lines', [0, maxEvents]);
  const after = args.number('after', [0, Number.MAX_SAFE_INTEGER]);
  if (after === undefined) return { lines: lines ?? usualEvents };
  if (lines === undefined) return { lines: maxEvents, after };
  throw cliErrors.usage('-n and --after do not go together: all after that event are shown');
}

type Api = Connection['api'];

async function readFrom(api: Api, query: { app?: string }, from: From): Promise<Event[]> {
  const { lines: limit } = from;
  if (from.after === undefined)
    return limit === 0 ? [] : (await api.listEvents({ ...query, limit })).items;
  const items: Event[] = [];
  for (let after: number | undefined = from.after; after !== undefined; ) {
    const page: Page<Event> = await api.listEvents({ ...query, limit, after });
    items.push(...page.items);
    after = page.next;
  }
  return items;
}

async function lastEventId(api: Api): Promise<number> {
  return (await api.listEvents({ limit: 1 })).items.at(-1)?.id ?? 0;
}

async function* withoutEnd(events: AsyncIterable<Event>): AsyncGenerator<Event> {
  yield* events;
  throw coreErrors.unreachable('the stream of events ended');
}

function eventText({ time, type, message }: Event): string {
  return `${dateText(time)}  ${type.padEnd(20)}  ${oneLine(message)}`;
}
