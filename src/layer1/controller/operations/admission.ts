// Who calls, and may they call now? Each token has a rate; whoever sends wrong ones is slowed down by address, before the
// store is asked. The platform's own processes are not limited: each of their calls is made for a caller who is.

import type { IncomingMessage } from 'node:http';
import type { Clock } from '#core/clock';
import { hasCode, toAppError } from '#core/errors';
import { type Rate, RateLimit } from '#core/rate-limit';
import { within } from '#core/within';
import type { Store } from '#layer0/store/client';
import type { Caller } from '../context.ts';
import { controllerErrors } from '../errors.ts';
import type { Observer } from '../observe.ts';
import { authenticate, bearerOf, internalCaller, tokenHash } from './tokens.ts';

/** Wrong tokens from one address. They are too long to be guessed: this keeps guessing from costing much. */
const wrongTokens: Rate = { perSecond: 1, burst: 20 };
/** Tokens known to be good: not held up by wrong ones from the same address. */
const maxKnown = 1_000;
/** A store that has not answered by then is away. */
const storeLimitMs = 3_000;
/** After such an answer, for a call that may be answered without it. */
const silentStoreLimitMs = 300;

export interface AdmissionDeps {
  store: Store;
  /** Tokens as the store was last seen: whoever has one of them may read while it is away. */
  observer: Pick<Observer, 'token'>;
  clock: Clock;
  internalKey: string;
  /** Of each token. */
  rate: Rate;
}

export class Admission {
  readonly #deps: AdmissionDeps;
  readonly #calls: RateLimit;
  readonly #wrong: RateLimit;
  readonly #known = new Map<string, Caller>();
  /** It did not answer the last time: a screen that asks several times would wait each time. */
  #isStoreSilent = false;

  constructor(deps: AdmissionDeps) {
    this.#deps = deps;
    this.#calls = new RateLimit(deps.rate, deps.clock);
    this.#wrong = new RateLimit(wrongTokens, deps.clock);
  }

  /** controller.unauthorized, or controller.tooManyCalls. A stream is one call, however long it is. */
  async admit(request: IncomingMessage, cost = 1): Promise<Caller> {
    const caller = await this.#authenticate(request);
    if (caller === internalCaller) return caller;
    const waitMs = this.#calls.take(caller.id, cost);
    if (waitMs === 0) return caller;
    throw tooMany(
      waitMs,
      `the token ${caller.name} makes more than ${this.#deps.rate.perSecond} calls per second`,
    );
  }

  async #authenticate(request: IncomingMessage): Promise<Caller> {
    const token = bearerOf(request.headers.authorization);
    const hash = tokenHash(token);
    const address = addressOf(request);
    const waitMs = this.#known.has(hash) ? 0 : this.#wrong.waitMs(address);
    if (waitMs > 0)
      throw tooMany(waitMs, 'too many calls with wrong tokens came from this address');
    const { store, clock, internalKey, observer } = this.#deps;
    const seen = request.method === 'GET' ? observer.token(hash) : undefined;
    const limitMs = seen && this.#isStoreSilent ? silentStoreLimitMs : storeLimitMs;
    try {
      const caller = await within(clock, limitMs, () => authenticate(store, token, internalKey));
      this.#isStoreSilent = false;
      if (this.#known.size >= maxKnown) this.#known.clear();
      this.#known.set(hash, caller);
      return caller;
    } catch (error) {
      if (hasCode(error, 'controller.unauthorized')) {
        this.#known.delete(hash);
        this.#wrong.take(address);
      }
      this.#isStoreSilent = toAppError(error).retry;
      if (seen && this.#isStoreSilent) return { id: seen.id, name: seen.name };
      throw error;
    }
  }
}

function tooMany(waitMs: number, why: string) {
  const seconds = Math.max(1, Math.ceil(waitMs / 1_000));
  const message = `${why}; wait ${seconds} s and call less often`;
  return controllerErrors.tooManyCalls(message, { retryAfterS: seconds });
}

/** The API listens on loopback: behind it are the router and git-receiver, which say who called them. */
function addressOf({ headers, socket }: IncomingMessage): string {
  const forwarded = String(headers['x-forwarded-for'] ?? '');
  return forwarded.split(',').at(-1)?.trim() || (socket.remoteAddress ?? 'unknown');
}
