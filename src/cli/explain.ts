// An error as the one sentence an operator needs at three in the morning, what more there is to know, and an exit code.

import type { AppError } from '#core/errors';
import type { Cluster } from './clusters.ts';
import { exitCodeOf } from './exit-codes.ts';

export interface Explanation {
  sentence: string;
  details: string[];
  exitCode: number;
}

type Known = Pick<AppError, 'code' | 'status' | 'message' | 'detail'>;

export function explain(error: Known, cluster: Cluster | undefined): Explanation {
  return {
    sentence: sentenceOf(error, cluster),
    details: detailsOf(error.detail),
    exitCode: exitCodeOf(error),
  };
}

function sentenceOf({ code, status, message }: Known, cluster: Cluster | undefined): string {
  const url = cluster?.url ?? 'the API';
  if (status === 503 && storeCall.test(message))
    return `the store of the cluster does not answer (${storeCauseOf(message)}): nothing is decided until it does, and everything that runs goes on; \`gantry cluster status\` says which machines are away`;
  if (code === 'core.unreachable' && lostAnswer.test(message)) return lostSentence(url, message);
  if (code === 'core.unreachable' && status === 503) {
    const at = cluster?.address === undefined ? '' : ` (at ${cluster.address})`;
    if (noApi.test(message))
      return `the router of ${url}${at} answers, and no machine that has the API does: apps run on and are routed to, nothing is deployed, scaled or moved meanwhile. Is a machine off, or are two of three? \`docker logs gantry-host\` on each that is on says whom it misses`;
    const advice = /certificate/.test(message)
      ? 'name its authority: `gantry login URL --ca FILE`'
      : 'is Gantry running there? `script/up` starts it';
    return `cannot reach the API at ${url}${at}: ${causeOf(message)}; ${advice}`;
  }
  if (code === 'core.unreachable')
    return `${url} answered what is no API of Gantry (${causeOf(message)}); check the URL in \`gantry status\``;
  if (code === 'core.timeout' && change.test(message)) return lostSentence(url, message);
  if (code === 'core.timeout')
    return `${url} did not answer: ${causeOf(message)}; \`gantry doctor\` says more. A change that was asked for may have been made: \`gantry events\` shows it`;
  if (status === 401)
    return `${url} refused the token of cluster ${cluster?.name ?? '?'}: ${message}; \`gantry login\` sets a new one`;
  if (code === 'core.invalid')
    return message.replace(/^(?:body|querystring|params) is not valid: /, 'the API refused that: ');
  if (code === 'core.internal') return `${message}; this is a bug: GANTRY_DEBUG=1 shows where`;
  return message;
}

/** The router's page of a service that no instance answers for. */
const noApi = /No instance of controller\.gantry is up/;

/** The API answered that its own calls, of etcd or of another machine's store, had no answer. */
const storeCall = /etcdserverpb\.|the etcd member |\b(?:GET|POST|PUT|PATCH|DELETE) \/store\//;

/** The last thing that was heard, without keys and names of calls. */
function storeCauseOf(message: string): string {
  const [, cause] =
    /.*(?:caused by: |the etcd member |\/store\/\S*(?: at \S+)?: )(.*?)\)?$/s.exec(message) ?? [];
  return causeOf(cause ?? message);
}

/** The call was on its way, and the router, or who called it, heard no more of it. */
const lostAnswer = /^[A-Z]+ \/\S*(?: at \S+)?: (?:answered 50[24]: |socket hang up|.*ECONNRESET)/;

/** What our client names first when it was more than a look. */
const change = /^(?:POST|PUT|PATCH|DELETE) \/[^\s:]*/;

function lostSentence(url: string, message: string): string {
  const [attempted] = change.exec(message) ?? [];
  const cause = causeOf(message);
  if (attempted === undefined)
    return `the answer of ${url} was lost (${cause}): ask again; \`gantry cluster status\` says which machines are away`;
  return `the answer of ${url} to ${attempted} was lost (${cause}): it may have been carried out, or not. Look before you ask again: \`gantry events\` says what was done, \`gantry apps\` and \`gantry ps -a APP\` what is there`;
}

/** What Node or the router said, without the request that our client puts before it. */
function causeOf(message: string): string {
  return message
    .replace(/^[A-Z]+ \/\S*(?: at \S+)?: /, '')
    .replace(/\s+/g, ' ')
    .trim();
}

/** Texts, and fields with what is wrong with them where the sentence has not named them. */
function detailsOf(detail: unknown): string[] {
  if (typeof detail === 'string') return detail.split('\n');
  if (Array.isArray(detail))
    return detail.filter((item): item is string => typeof item === 'string');
  return [];
}
