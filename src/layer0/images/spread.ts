// An image is on two machines before anything is scheduled that needs it: the loss of one then loses no release.

import { toAppError } from '#core/errors';
import type { Log } from '#core/log';

/** Machines that hold an image before it is offered, or all that answer where those are fewer. */
export const imageCopies = 2;

export interface Others {
  /** Ids of the other machines. */
  list(): string[];
  /** Whether the image is there. Throws when the machine does not answer. */
  holds(host: string, image: string): Promise<boolean>;
  /** Has that machine bring the image to itself; false when it found nobody who has it. */
  bring(host: string, image: string): Promise<boolean>;
  /** Has that machine, which holds the image, spread it; the machines that hold it then, besides itself. */
  spread(host: string, image: string): Promise<string[]>;
}

/**
 * The other machines that hold the image now. `holders`: those with a registry that has it; where they are enough, nobody
 * is asked. A machine that does not answer, or cannot take it, is passed over.
 */
export async function spreadImage(
  others: Others,
  image: string,
  { holders: known, log }: { holders: readonly string[]; log: Log },
): Promise<string[]> {
  const hosts = others.list();
  const holders = known.filter((host) => hosts.includes(host));
  if (holders.length >= imageCopies - 1) return holders;
  const tell = (host: string) => (error: unknown) => {
    log.warn({ host, image, reason: toAppError(error).message }, 'a machine did not take an image');
    return undefined;
  };
  const ask = async (host: string) => ({
    host,
    isThere: await others.holds(host, image).catch(tell(host)),
  });
  const seen = await Promise.all(hosts.map(ask));
  holders.push(...seen.filter(({ isThere }) => isThere).map(({ host }) => host));
  const free = seen.filter(({ isThere }) => isThere === false).map(({ host }) => host);
  for (const host of free.sort()) {
    if (holders.length >= imageCopies - 1) break;
    if (await others.bring(host, image).catch(tell(host))) holders.push(host);
  }
  return holders;
}

/** For an image that was built elsewhere and is not here: whoever holds it spreads it. The machines that hold it then. */
export async function spreadFromHolder(others: Others, image: string): Promise<string[]> {
  for (const host of others.list().sort()) {
    // One that does not answer may hold it alone: then this release cannot run anyway.
    if (!(await others.holds(host, image).catch(() => false))) continue;
    return [host, ...(await others.spread(host, image))];
  }
  return [];
}
