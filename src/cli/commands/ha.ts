// `gantry cluster ha`: begins the move of the store, and says how it goes until it has ended.

import { hasCode, toAppError } from '#core/errors';
import type { HaStatus } from '#layer1/controller/client';
import type { Call, Connection } from '../command.ts';
import { cliErrors } from '../errors.ts';
import { untilInterrupted } from '../interrupt.ts';

const askEveryMs = 500;
/** The machine that has the store may be silent for so long while others take over. */
const patienceMs = 60_000;

export async function moveStore(call: Call): Promise<number | undefined> {
  const { io, out, args } = call;
  const hosts = args
    .text('hosts')
    ?.split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  const { api } = await call.connect();
  const first = await api.moveStore(hosts).catch((error: unknown) => {
    // Somebody else began it: it is followed like one's own.
    if (hasCode(error, 'ha.busy')) return api.readStore();
    throw error;
  });
  return await untilInterrupted(
    io,
    (signal) => follow(call, { api }, { first, signal }),
    () => out.note('The move goes on; gantry cluster ha shows it again'),
  );
}

async function follow(
  { io, out, args }: Call,
  { api }: Pick<Connection, 'api'>,
  { first, signal }: { first: HaStatus; signal: AbortSignal },
): Promise<undefined> {
  let said = '';
  let seen = first;
  let heardAt = io.clock.monotonicMs();
  for (;;) {
    const { engine, move, summary } = seen;
    if (engine === 'etcd' && move.state !== 'running') {
      if (args.has('json')) return out.json(seen);
      return out.line(`The store is on three machines: ${summary}`);
    }
    if (move.state === 'failed') throw cliErrors.failed(failureText(move));
    if (move.state === 'idle')
      throw cliErrors.failed(`the move was interrupted and not decided: ${summary}. Do it again`);
    if (move.step !== undefined && move.step !== said) out.note(`  ${move.step}`);
    said = move.step ?? said;
    await io.clock.sleep(askEveryMs, signal);
    seen = await api.readStore().then(
      (status) => {
        heardAt = io.clock.monotonicMs();
        return status;
      },
      (error: unknown) => {
        if (!toAppError(error).retry || io.clock.monotonicMs() - heardAt > patienceMs) throw error;
        return seen;
      },
    );
  }
}

function failureText({ error }: HaStatus['move']): string {
  return `the store was not moved and stays where it is: ${error?.message ?? 'no reason was given'}`;
}
