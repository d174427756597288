// A call to a member failed: which of our errors is it, was anything done, and is another member worth asking?
// What nobody can know stays what the client of a remote store says: core.unreachable or core.timeout.

import { type AppError, coreErrors, type ErrorMaker, hasCode, toAppError } from '#core/errors';
import { storeErrors } from '../../errors.ts';

export interface Judgement {
  error: AppError;
  /** True: certainly nothing was changed by this call. */
  isUndone: boolean;
  /** True: another member may answer. */
  isElsewhere: boolean;
}

interface Saying {
  /** What etcd's message holds. */
  says: RegExp;
  make: ErrorMaker;
  isUndone: boolean;
  isElsewhere: boolean;
}

const refuses = { isUndone: true, isElsewhere: false };
const cannot = { isUndone: true, isElsewhere: true };
const unknown = { isUndone: false, isElsewhere: true };

/** Messages of etcd 3.4 and 3.5; its numeric codes are too few to tell these apart. */
const sayings: Saying[] = [
  { says: /lease not found/, make: storeErrors.leaseNotFound, ...refuses },
  { says: /has been compacted/, make: storeErrors.compacted, ...refuses },
  { says: /future revision/, make: storeErrors.conflict, ...refuses },
  { says: /database space exceeded/, make: storeErrors.full, ...refuses },
  { says: /too large|too many operations/, make: storeErrors.tooLarge, ...refuses },
  { says: /larger than max/, make: storeErrors.tooLarge, ...refuses },
  { says: /too many requests/, make: storeErrors.overloaded, ...cannot },
  { says: /no leader|proposal dropped/, make: storeErrors.unavailable, ...cannot },
  { says: /not supported for learner/, make: storeErrors.unavailable, ...cannot },
  { says: /in sync with leader/, make: storeErrors.unavailable, ...refuses },
  { says: /unhealthy cluster|not enough started/, make: storeErrors.unavailable, ...refuses },
  { says: /corrupt/, make: storeErrors.damaged, ...refuses },
  { says: /timed out|deadline exceeded/, make: coreErrors.timeout, ...unknown },
];

/** gRPC codes of requests that will never succeed as they are: invalid argument, not found, exists, denied ... */
const refusedCodes = ['3', '5', '6', '7', '9', '12', '16'];
/** The connection was not made, so nothing was sent. */
const unsentCodes = [
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EADDRNOTAVAIL',
  // HTTP/2: the stream was still waiting for the connection, or had none.
  'ERR_HTTP2_STREAM_CANCEL',
  'ERR_HTTP2_INVALID_SESSION',
  'ERR_HTTP2_GOAWAY_SESSION',
];

/** `attempted` opens the message: "write: the etcd member at http://...". */
export function judgeError(thrown: unknown, attempted: string): Judgement {
  const known = toAppError(thrown);
  if (/^\d+$/.test(known.code)) return judgeAnswer(known, attempted);
  if (hasCode(known, 'core.aborted')) return { error: known, ...unknown, isElsewhere: false };
  const isUnsent = unsentCodes.some((code) => hasCode(known.cause, code));
  return { error: known, isUndone: isUnsent, isElsewhere: known.retry };
}

/** The body of an answer, or the last line of a stream: `code` is gRPC's number. */
function judgeAnswer(answer: AppError, attempted: string): Judgement {
  const { message, code } = answer;
  const text = `${attempted} answered: ${message}`;
  const saying = sayings.find(({ says }) => says.test(message));
  if (saying) {
    const { make, isUndone, isElsewhere } = saying;
    return { error: make(text, { cause: answer }), isUndone, isElsewhere };
  }
  if (refusedCodes.includes(code))
    return { error: storeErrors.invalid(text, { cause: answer }), ...refuses };
  return { error: coreErrors.unreachable(text, { cause: answer }), ...unknown };
}
