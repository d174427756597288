// What the load client counts as a failure, and in which kind.

import type { Answer, LoadOptions } from './client.ts';

export type FailureKind = 'refused' | 'reset' | 'timeout' | 'truncated' | 'status' | 'body';

/** A failure of one request; anything else that is thrown is a bug of the client. */
export class Failure extends Error {
  readonly kind: FailureKind;
  constructor(kind: FailureKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

export function failureOf(error: Error): Failure {
  const { code } = error as NodeJS.ErrnoException;
  const kind = code === 'ECONNREFUSED' ? 'refused' : 'reset';
  return new Failure(kind, `${code ?? ''} ${error.message}`);
}

export function cutOff(answer: Answer): Failure {
  return new Failure('truncated', `the body ended after ${answer.body.length} bytes`);
}

export function judge({ verify }: LoadOptions, answer: Answer): Failure | undefined {
  if (verify) {
    const problem = verify(answer);
    return problem === undefined ? undefined : new Failure('body', problem);
  }
  if (answer.status === 200) return undefined;
  return new Failure('status', `${answer.status}: ${answer.body.slice(0, 120)}`);
}
