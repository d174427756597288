// `gantry delete`: asks for the name, because there is no way back.

import { hasCode } from '#core/errors';
import type { ControllerClient } from '#layer1/controller/client';
import { ask } from '../ask.ts';
import type { Call } from '../command.ts';
import { cliErrors } from '../errors.ts';
import { untilInterrupted } from '../interrupt.ts';
import type { Io } from '../io.ts';
import { findRepository, remoteUrlOf } from '../repository.ts';

/** Between two looks at whether all of it is gone. */
const lookMs = 250;
/** How long it may take before waiting is given up; it goes on by itself. */
const maxWaitMs = 120_000;

export async function deleteApp(call: Call): Promise<number | undefined> {
  const { args, io, out } = call;
  const { api, app, cluster } = await call.target();
  await api.readApp(app);
  if (!args.has('yes')) await confirm(call, app);
  await api.deleteApp(app);
  if (args.has('no-wait')) {
    out.line(`${app} is being deleted`);
    return undefined;
  }
  const code = await untilInterrupted(
    io,
    (signal) => waitUntilGone(api, app, io, signal),
    () => out.note(`${app} goes on being deleted`),
  );
  if (code !== undefined) return code;
  out.line(`${app} is deleted`);
  const repository = await findRepository(io);
  const remote = repository?.remotes.find(({ url }) => url === remoteUrlOf(cluster, app));
  if (remote) out.note(`The remote ${remote.name} is still here: git remote remove ${remote.name}`);
  return undefined;
}

async function confirm({ io, out }: Call, app: string): Promise<void> {
  if (!io.stdin.isTTY)
    throw cliErrors.refused(
      `deleting ${app} takes its processes, releases, routes and volumes; without a terminal to ask at, say --yes`,
    );
  out.note(`This deletes ${app} with its processes, releases, routes and volumes, for good.`);
  const answer = await ask(io, 'Type the name of the app to go on: ', 'nothing was deleted');
  if (answer.trim() !== app) throw cliErrors.refused(`that is not ${app}; nothing was deleted`);
}

async function waitUntilGone(
  api: ControllerClient,
  app: string,
  { clock }: Io,
  signal: AbortSignal,
): Promise<undefined> {
  const end = clock.monotonicMs() + maxWaitMs;
  while (clock.monotonicMs() < end) {
    try {
      await api.readApp(app);
    } catch (error) {
      if (hasCode(error, 'controller.appNotFound')) return undefined;
      throw error;
    }
    await clock.sleep(lookMs, signal);
  }
  throw cliErrors.failed(
    `${app} is not gone after ${maxWaitMs / 1000} s; it goes on, see gantry ps -a ${app} --all`,
  );
}
