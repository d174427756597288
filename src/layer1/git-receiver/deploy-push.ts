// One push, from its refs to its deployment: judged, claimed, archived, built. Yields what the pusher reads; the last line says
// whether git may accept it. It never throws: a push that fails for whatever reason is one that is not accepted.

import type { Clock } from '#core/clock';
import { type AppError, errorFromBody, toAppError } from '#core/errors';
import type { Log } from '#core/log';
import { judgePush } from './decide/judge-push.ts';
import { gitErrors } from './errors.ts';
import { endGit, exitStatus, lastWords, runGit, startGit } from './git-process.ts';
import type { Platform } from './platform.ts';
import type { Push, Pushes } from './pushes.ts';
import type { HookLine, HookRequest } from './wire.ts';

export interface DeployDeps {
  pushes: Pushes;
  platform: Platform;
  clock: Clock;
  log: Log;
  buildTimeoutMs: number;
}

export async function* deployPush(
  deps: DeployDeps,
  push: Push,
  request: HookRequest,
): AsyncGenerator<HookLine> {
  const verdict = judgePush(request.updates);
  if (verdict.kind === 'refuse') {
    yield* refusal(verdict.reason);
    return;
  }
  const heldSince = deps.pushes.claim(push, deps.clock.now());
  if (heldSince !== undefined) {
    const seconds = Math.round((deps.clock.now() - heldSince) / 1000);
    yield* refusal(
      `Another push of ${push.appName} has been under way for ${seconds} s. Wait for its end, then push again.`,
    );
    return;
  }
  try {
    yield* deployCommit(deps, push, { commit: verdict.commit, objectEnv: request.objectEnv });
    await followBranch(push.repository, verdict.branch);
    yield { isAccepted: true };
  } catch (error) {
    const appError = toAppError(error);
    deps.log.info({ app: push.appId, code: appError.code, err: error }, 'push not accepted');
    if (!push.signal.aborted) yield* failure(appError);
  } finally {
    deps.pushes.release(push);
  }
}

function* failure(error: AppError): Generator<HookLine> {
  if (error.code === 'core.unreachable' || error.code === 'core.timeout')
    yield* refusal(
      'The controller went away before the end.',
      'The branch has not moved. `gantry deployment` shows how far it came; then push again.',
    );
  else yield* refusal(sentence(error));
}

function* refusal(reason: string, state = 'Nothing has changed.'): Generator<HookLine> {
  yield { text: '' };
  yield { text: ` !     ${reason}` };
  yield { text: ` !     ${state}` };
  yield { text: '' };
  yield { isAccepted: false };
}

function sentence(error: AppError): string {
  const { message } = error;
  // `v4 was rolled back` begins with a name, not with a word.
  const isWord = /^[a-z]+ /.test(message);
  const text = isWord ? message.charAt(0).toUpperCase() + message.slice(1) : message;
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

async function* deployCommit(
  { platform, buildTimeoutMs }: DeployDeps,
  push: Push,
  { commit, objectEnv }: { commit: string; objectEnv: Record<string, string> },
): AsyncGenerator<HookLine> {
  const submodules = await listSubmodules(push.repository, commit, objectEnv);
  if (submodules.length > 0)
    yield { text: `       Submodules are left out: ${submodules.slice(0, 5).join(', ')}` };
  const archive = startArchive(push.repository, commit, objectEnv);
  const overtime = AbortSignal.timeout(buildTimeoutMs);
  const signal = AbortSignal.any([push.signal, overtime]);
  try {
    const { appName, token } = push;
    const progress = platform.build({ app: appName, token, commit, tar: archive.stdout, signal });
    for await (const line of progress) {
      if (line.type === 'error') throw errorFromBody(line.error, 422, 'deploy');
      if (line.type === 'line') yield { text: line.text };
      else return yield* success(push, line);
    }
    throw gitErrors.failed(
      'the controller stopped answering before the deployment ended; `gantry deployment` shows how far it came',
    );
  } catch (cause) {
    const problem = await archive.problem();
    if (problem && !signal.aborted)
      throw gitErrors.failed(`the commit could not be read: ${problem}`, { cause });
    throw cause;
  } finally {
    endGit(archive.child);
  }
}

function* success(
  push: Push,
  { release, url }: { release: number; url?: string },
): Generator<HookLine> {
  yield { text: `-----> Release v${release} of ${push.appName} is running` };
  if (url) yield { text: `       ${url}` };
}

/** `git archive` of a commit that is not accepted yet: its objects are where `objectEnv` says. */
function startArchive(repository: string, commit: string, objectEnv: Record<string, string>) {
  const args = ['archive', '--format=tar', commit];
  const child = startGit({ args, cwd: repository, env: objectEnv });
  child.stdin?.end();
  const words = lastWords(child);
  const status = exitStatus(child);
  const { stdout } = child;
  if (!stdout) throw gitErrors.failed('git archive has no output');
  void Promise.all([words, status]).then(([said, code]) => {
    // The reader must not take a cut-off archive for a whole one.
    if (code !== 0) stdout.destroy(gitErrors.failed(said || `git archive ended with ${code}`));
  });
  return {
    child,
    stdout,
    /** Its last words if it failed by itself. */
    async problem(): Promise<string | undefined> {
      if (child.exitCode === null && child.signalCode === null) return undefined;
      return child.exitCode === 0 ? undefined : await words;
    },
  };
}

async function listSubmodules(
  repository: string,
  commit: string,
  env: Record<string, string>,
): Promise<string[]> {
  const args = ['ls-tree', '-r', '-z', '--full-tree', commit];
  const tree = await runGit({ args, cwd: repository, env });
  return tree
    .split('\0')
    .filter((entry) => entry.startsWith('160000 '))
    .map((entry) => entry.slice(entry.indexOf('\t') + 1));
}

/** A clone of the repository checks out the branch that was deployed last. */
async function followBranch(repository: string, branch: string): Promise<void> {
  await runGit({ args: ['symbolic-ref', 'HEAD', `refs/heads/${branch}`], cwd: repository });
}
