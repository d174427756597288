// A rollout, line by line, to its end: the exit code of every command that changes what runs.

import { AppError, coreErrors } from '#core/errors';
import type { Deployment, ProgressLine, Released } from '#layer1/controller/client';
import type { Call, Connection } from './command.ts';
import { cliErrors } from './errors.ts';
import { untilInterrupted } from './interrupt.ts';
import { reopened } from './lost.ts';
import { oneLine } from './table.ts';

type Target = Connection & { app: string };

/** Says what was released; follows its rollout unless `--no-wait`. */
export async function followReleased(
  call: Call,
  target: Target,
  { release, deployment }: Released,
): Promise<number | undefined> {
  const { out, args } = call;
  out.line(`${target.app} v${release.version}: ${oneLine(release.description)}`);
  if (!deployment) {
    out.line('There is nothing to run yet: it counts from the first push or deploy on.');
    return undefined;
  }
  if (!args.has('no-wait')) return await followDeployment(call, target, deployment);
  out.line(`It is rolled out; see gantry deployment show ${deployment.id} -a ${target.app} -f`);
  return undefined;
}

export async function followDeployment(
  { io, out }: Call,
  { api, app }: Target,
  { id, newVersion }: Pick<Deployment, 'id' | 'newVersion'>,
): Promise<number | undefined> {
  const printed = new Set<string>();
  let isAgain = false;
  const follow = async (signal: AbortSignal) => {
    const lines = reopened({
      clock: io.clock,
      signal,
      open: () => untilItsEnd(api.followDeployment(app, id, signal), id),
      onLost: () => out.note('-- connection lost; the rollout goes on, trying again --', 'yellow'),
      onBack: () => {
        isAgain = true;
        out.note('-- connected again --', 'yellow');
      },
    });
    for await (const line of lines) {
      if (line.type === 'error') throw failureOf(line);
      if (line.type === 'result') {
        out.line(`v${line.release} is live${line.url === undefined ? '' : ` at ${line.url}`}`);
        return undefined;
      }
      // A stream that was opened again begins with how things stand, which was said before.
      if (!isAgain || !printed.has(line.text)) out.line(`  ${oneLine(line.text)}`);
      printed.add(line.text);
    }
    return undefined;
  };
  return await untilInterrupted(io, follow, () =>
    out.note(`v${newVersion} goes on; see gantry deployment show ${id} -a ${app} -f`),
  );
}

/** A stream that ends without a last line was cut off. */
async function* untilItsEnd(
  lines: AsyncIterable<ProgressLine>,
  id: string,
): AsyncGenerator<ProgressLine> {
  for await (const line of lines) {
    yield line;
    if (line.type !== 'line') return;
  }

  throw coreErrors.unreachable(`the stream of deployment ${id} ended too early`);
}

function failureOf({ error }: Extract<ProgressLine, { type: 'error' }>): AppError {
  const { code, message, detail, retry } = error;
  return new AppError(code, { status: 422, retry }, message, { detail });
}

/** `v6` or `6`. */
export function parseVersion(text: string): number {
  const version = Number(/^v?(\d{1,9})$/.exec(text)?.[1]);
  if (version > 0) return version;
  throw cliErrors.usage(`${text} is not a release: say one like v6`);
}
