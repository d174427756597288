// A join token: what a new machine needs to find the cluster, to know it is the right one, and to be let in once.

import { membershipErrors } from '../errors.ts';
import type { TokenRecord } from '../wire.ts';

export interface JoinToken {
  /** `address:port` of members' peer doors; the first that answers is used. */
  addresses: string[];
  /** SHA-256 of the authority's certificate, hex. */
  authority: string;
  secret: string;
}

const prefix = 'gantry-join-';

export function formatToken({ addresses, authority, secret }: JoinToken): string {
  const text = JSON.stringify([addresses, authority, secret]);
  return prefix + Buffer.from(text).toString('base64url');
}

export function parseToken(text: string): JoinToken {
  const whole = text.trim();
  if (!whole.startsWith(prefix)) throw bad(`it does not begin with ${prefix}`);
  try {
    const parts: unknown = JSON.parse(
      Buffer.from(whole.slice(prefix.length), 'base64url').toString('utf8'),
    );
    if (isTokenParts(parts)) {
      const [addresses, authority, secret] = parts;
      return { addresses, authority, secret };
    }
  } catch {
    // Said below, like any other text that is no token.
  }
  throw bad('a part of it is missing or changed');
}

type TokenParts = [addresses: string[], authority: string, secret: string];

function isTokenParts(value: unknown): value is TokenParts {
  if (!Array.isArray(value) || value.length !== 3) return false;
  const [addresses, authority, secret] = value as unknown[];
  const areAddresses =
    Array.isArray(addresses) &&
    addresses.length > 0 &&
    addresses.every((address) => typeof address === 'string' && /^.+:\d+$/.test(address));
  return areAddresses && /^[0-9a-f]{64}$/.test(String(authority)) && typeof secret === 'string';
}

function bad(why: string) {
  return membershipErrors.badToken(
    `this is no join token: ${why}. gantry host join-token prints a new one on a machine of the cluster`,
  );
}

/** Why the machine that shows this token is not let in; undefined when it is. */
export function refusalOf(record: TokenRecord | undefined, now: number): string | undefined {
  if (!record) return 'the join token is not one of this cluster';
  if (record.usedBy !== undefined)
    return 'the join token was used already: each is good for one machine';
  if (record.expiresAt <= now) return 'the join token has ended: they last an hour';
  return undefined;
}
