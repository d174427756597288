// `gantry git-credentials`: git asks on stdin in lines of `name=value`; for the git host of a cluster the answer is its token.
// For every other host there is no answer, so that git goes on with its other helpers.

import { text } from 'node:stream/consumers';
import { type Cluster, listClusters } from '../clusters.ts';
import type { Call } from '../command.ts';
import { cliErrors } from '../errors.ts';

/** Git sends a user name with a password; the git host looks only at the password. */
const userName = 'gantry';

export async function answerGit({ args, io, out }: Call): Promise<undefined> {
  const [operation] = args.words;
  if (operation !== 'get' && operation !== 'store' && operation !== 'erase')
    throw cliErrors.usage('git asks with get, store or erase');
  const question = parseQuestion(await text(io.stdin));
  // Tokens are kept in the configuration file: there is nothing for git to store, or to erase.
  if (operation !== 'get') return;
  const cluster = findCluster(await listClusters(io), question);
  if (!cluster) return;
  out.line(`username=${userName}`);
  out.line(`password=${cluster.token}`);
}

export function parseQuestion(input: string): Record<string, string> {
  const question: Record<string, string> = {};
  for (const line of input.split('\n')) {
    const end = line.indexOf('=');
    if (end > 0) question[line.slice(0, end)] = line.slice(end + 1).replace(/\r$/, '');
  }
  return question;
}

/** Scheme, host and port must all be those of the git host: a token is never given to another. */
export function findCluster(
  clusters: readonly Cluster[],
  { protocol, host }: Record<string, string>,
): Cluster | undefined {
  const asked = URL.parse(`${protocol}://${host}`);
  return clusters.find(({ gitUrl }) => asked && URL.parse(gitUrl)?.origin === asked.origin);
}
