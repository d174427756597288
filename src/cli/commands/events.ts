// `gantry events`

import { coreErrors } from '#core/errors';
import type { Event } from '#layer1/controller/client';
import type { Call } from '../command.ts';
import { untilInterrupted } from '../interrupt.ts';
import { reopened } from '../lost.ts';
import { oneLine } from '../table.ts';
import { dateText } from '../units.ts';

const usualEvents = 50;
const maxEvents = 1_000;

export async function showEvents(call: Call): Promise<number | undefined> {
  const { args, io, out } = call;
  const limit = args.number('lines', [0, maxEvents]) ?? usualEvents;
  const app = args.text('app');
  const query = app === undefined ? {} : { app };
  const { api } = await call.connect();
  const print = (event: Event) =>
    out.stream(args.has('json') ? JSON.stringify(event) : eventText(event));
  const { items } =
    limit === 0 && !args.has('follow')
      ? { items: [] }
      : await api.listEvents({ ...query, limit: Math.max(1, limit) });
  const isWhole = args.has('json') && !args.has('follow');
  if (isWhole) return out.json(items);
  for (const event of limit === 0 ? [] : items) await print(event);
  if (!args.has('follow')) return undefined;
  let after = items.at(-1)?.id;
  return await untilInterrupted(io, async (signal) => {
    const stream = reopened({
      clock: io.clock,
      signal,
      open: () =>
        withoutEnd(
          api.followEvents({ ...query, ...(after === undefined ? {} : { after }) }, signal),
        ),
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

async function* withoutEnd(events: AsyncIterable<Event>): AsyncGenerator<Event> {
  yield* events;
  throw coreErrors.unreachable('the stream of events ended');
}

function eventText({ time, type, message }: Event): string {
  return `${dateText(time)}  ${type.padEnd(20)}  ${oneLine(message)}`;
}
