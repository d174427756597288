// How an instance looks from one machine. A process that listens on another machine's loopback is reached through a tunnel of
// this one: an address of our own loopback that only this instance has, on the port that it listens on there.

import { handleOf, type Instance } from '../wire.ts';

/** Tunnels are in 127.64.0.0/10. */
const firstNet = 64;
const nets = 64;

/** The address follows from the instance alone: an old one never leads to another process, and nothing is to be agreed on. */
export function tunnelAddress(handle: string): string {
  const hash = fingerprint(handle);
  return `127.${firstNet + ((hash >>> 16) % nets)}.${(hash >>> 8) & 255}.${hash & 255}`;
}

/** The same instance when it needs no tunnel: it is here, or not on loopback, or nobody knows where it is. */
export function seenFrom(host: string | undefined, instance: Instance): Instance {
  const isElsewhere = host !== undefined && instance.host !== '' && instance.host !== host;
  if (!isElsewhere || !isLoopback(instance.address)) return instance;
  return { ...instance, address: tunnelAddress(handleOf(instance)) };
}

export function isLoopback(address: string): boolean {
  return address.startsWith('127.');
}

/** FNV-1a of 32 bits, stirred once more: the last bytes of two handles may be all that differs. */
function fingerprint(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++)
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}
