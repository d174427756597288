// Is the machine at the other end there? Asked while something depends on it: a cut cable or a stopped daemon ends no
// connection by itself. One answer that is late may be the fault of a busy machine, or of this one: nothing new goes there until it
// is heard again, and what is open ends only when it stays silent.

import type { Clock, Timer } from '#core/clock';
import type { Log } from '#core/log';

export interface LinksDeps {
  /** Rejects when the machine does not answer in time. */
  ping(hostId: string): Promise<void>;
  /** A machine went away, or came back. */
  onChange(): void;
  pingEveryMs: number;
  endAfterMs: number;
  clock: Clock;
  log: Log;
}

interface Link {
  /** When the first of the pings was sent that were not answered, with none answered since. */
  silentSinceMs: number | undefined;
  /** What ends when the machine stays silent. */
  ends: Set<() => void>;
  timer: Timer | undefined;
  isAsking: boolean;
}

/** Of one ping; `failure` undefined: it was answered. */
interface Outcome {
  sentMs: number;
  failure: unknown;
}

const isSilent = ({ silentSinceMs }: Link) => silentSinceMs !== undefined;

export class Links {
  readonly #deps: LinksDeps;
  readonly #links = new Map<string, Link>();
  #isStopped = false;

  constructor(deps: LinksDeps) {
    this.#deps = deps;
  }

  isAway(hostId: string): boolean {
    const link = this.#links.get(hostId);
    return link !== undefined && isSilent(link);
  }

  /** Calls `end` when the machine stays silent; returns what takes that back. */
  guard(hostId: string, end: () => void): () => void {
    const link = this.#link(hostId);
    link.ends.add(end);
    this.#schedule(hostId, link);
    return () => {
      link.ends.delete(end);
      if (link.ends.size === 0) this.#forgetIfIdle(hostId, link);
    };
  }

  /** Something with the machine took too long: ask it at once. */
  doubt(hostId: string): void {
    void this.#ask(hostId, this.#link(hostId));
  }

  /** Only these matter from now on; a connection that is open still does. */
  keep(hostIds: ReadonlySet<string>): void {
    for (const [hostId, link] of this.#links)
      if (!hostIds.has(hostId) && link.ends.size === 0) this.#drop(hostId, link);
  }

  stop(): void {
    this.#isStopped = true;
    for (const [hostId, link] of this.#links) {
      for (const end of [...link.ends]) end();
      this.#drop(hostId, link);
    }
  }

  /** Connections by machine, and which machines are away. */
  status(): { away: string[]; connections: number } {
    const links = [...this.#links];
    return {
      away: links.filter(([, link]) => isSilent(link)).map(([hostId]) => hostId),
      connections: links.reduce((sum, [, { ends }]) => sum + ends.size, 0),
    };
  }

  #link(hostId: string): Link {
    const known = this.#links.get(hostId);
    if (known) return known;
    const link: Link = {
      silentSinceMs: undefined,
      ends: new Set(),
      timer: undefined,
      isAsking: false,
    };
    this.#links.set(hostId, link);
    return link;
  }

  #schedule(hostId: string, link: Link, afterMs = this.#deps.pingEveryMs): void {
    if (this.#isStopped || link.isAsking || link.timer) return;
    link.timer = this.#deps.clock.timer(afterMs, () => void this.#ask(hostId, link));
  }

  async #ask(hostId: string, link: Link): Promise<void> {
    if (this.#isStopped || link.isAsking) return;
    link.timer?.cancel();
    link.timer = undefined;
    link.isAsking = true;
    const { clock, pingEveryMs } = this.#deps;
    const sentMs = clock.monotonicMs();
    let failure: unknown;
    try {
      await this.#deps.ping(hostId);
    } catch (error) {
      failure = error;
    }
    link.isAsking = false;
    if (this.#links.get(hostId) !== link) return;
    this.#note(hostId, link, { sentMs, failure });
    const nextMs = Math.max(0, sentMs + pingEveryMs - clock.monotonicMs());
    if (isSilent(link) || link.ends.size > 0) this.#schedule(hostId, link, nextMs);
    else this.#forgetIfIdle(hostId, link);
  }

  #note(hostId: string, link: Link, { sentMs, failure }: Outcome): void {
    const { clock, endAfterMs, log, onChange } = this.#deps;
    const wasSilent = isSilent(link);
    link.silentSinceMs = failure === undefined ? undefined : (link.silentSinceMs ?? sentMs);
    if (isSilent(link) !== wasSilent) {
      if (wasSilent) log.info({ host: hostId }, 'answers again');
      else log.warn({ host: hostId, err: failure }, 'does not answer: nothing new goes to it');
      onChange();
    } else if (link.silentSinceMs !== undefined) {
      // Never after one ping alone, however long it took: this daemon may have stood still itself.
      const isLong = clock.monotonicMs() - link.silentSinceMs >= endAfterMs;
      if (isLong && link.ends.size > 0) this.#endAll(hostId, link);
    }
  }

  #endAll(hostId: string, link: Link): void {
    this.#deps.log.warn({ host: hostId, open: link.ends.size }, 'stays silent: what is open ends');
    for (const end of [...link.ends]) end();
  }

  #forgetIfIdle(hostId: string, link: Link): void {
    if (!isSilent(link) && !link.isAsking) this.#drop(hostId, link);
  }

  #drop(hostId: string, link: Link): void {
    link.timer?.cancel();
    link.timer = undefined;
    if (this.#links.get(hostId) === link) this.#links.delete(hostId);
  }
}
