// Ids: a short prefix that says of what, then 16 characters of randomness that sort by nothing.

import { randomBytes } from 'node:crypto';

/** A string that the compiler keeps apart from other strings. */
export type Branded<Name extends string> = string & { readonly __brand?: Name };

export type AppId = Branded<'AppId'>;
export type ReleaseId = Branded<'ReleaseId'>;
export type DeploymentId = Branded<'DeploymentId'>;
export type JobId = Branded<'JobId'>;
export type HostId = Branded<'HostId'>;
export type RouteId = Branded<'RouteId'>;
export type ImageId = Branded<'ImageId'>;

export type IdPrefix =
  | 'app'
  | 'rel'
  | 'dep'
  | 'job'
  | 'host'
  | 'rte'
  | 'bld'
  | 'tok'
  | 'cluster'
  | 'lease'
  | 'etcd'
  | 'req'
  | 'inc'
  | 'upg';

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

/** `prefix-` and 16 base-32 characters (80 bits). `bytes` is injected where runs must replay. */
export function newId(prefix: IdPrefix, bytes: Uint8Array = randomBytes(16)): string {
  let text = '';
  for (const byte of bytes.subarray(0, 16)) text += alphabet[byte & 31];
  return `${prefix}-${text}`;
}
