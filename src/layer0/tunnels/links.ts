// Is the machine at the other end there? Asked while something depends on it: a cut cable or a stopped daemon ends no
// connection by itself.

import type { Clock, Timer } from '#core/clock';
import type { Log } from '#core/log';

export interface LinksDeps {
  /** Rejects when the machine does not answer in time. */
  ping(hostId: string): Promise<void>;
  /** A machine went away, or came back. */
  onChange(): void;
  pingEveryMs: number;
  clock: Clock;
  log: Log;
}

interface Link {
  isAway: boolean;
  /** What ends when the machine is away. */
  ends: Set<() => void>;
  timer: Timer | undefined;
  isAsking: boolean;
}

export class Links {
  readonly #deps: LinksDeps;
  readonly #links = new Map<string, Link>();
  #isStopped = false;

  constructor(deps: LinksDeps) {
    this.#deps = deps;
  }

  isAway(hostId: string): boolean {
    return this.#links.get(hostId)?.isAway ?? false;
  }

  /** Calls `end` when the machine is away; returns what takes that back. */
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
      away: links.filter(([, { isAway }]) => isAway).map(([hostId]) => hostId),
      connections: links.reduce((sum, [, { ends }]) => sum + ends.size, 0),
    };
  }

  #link(hostId: string): Link {
    const known = this.#links.get(hostId);
    if (known) return known;
    const link: Link = { isAway: false, ends: new Set(), timer: undefined, isAsking: false };
    this.#links.set(hostId, link);
    return link;
  }

  #schedule(hostId: string, link: Link): void {
    if (this.#isStopped || link.isAsking || link.timer) return;
    const { clock, pingEveryMs } = this.#deps;
    link.timer = clock.timer(pingEveryMs, () => void this.#ask(hostId, link));
  }

  async #ask(hostId: string, link: Link): Promise<void> {
    if (this.#isStopped || link.isAsking) return;
    link.timer?.cancel();
    link.timer = undefined;
    link.isAsking = true;
    let failure: unknown;
    try {
      await this.#deps.ping(hostId);
    } catch (error) {
      failure = error;
    }
    link.isAsking = false;
    if (this.#links.get(hostId) !== link) return;
    this.#note(hostId, link, failure);
    if (link.isAway || link.ends.size > 0) this.#schedule(hostId, link);
    else this.#forgetIfIdle(hostId, link);
  }

  #note(hostId: string, link: Link, failure: unknown): void {
    const isAway = failure !== undefined;
    if (isAway) for (const end of [...link.ends]) end();
    if (isAway === link.isAway) return;
    link.isAway = isAway;
    const { log, onChange } = this.#deps;
    if (isAway) log.warn({ host: hostId, err: failure }, 'does not answer: its tunnels are closed');
    else log.info({ host: hostId }, 'answers again');
    onChange();
  }

  #forgetIfIdle(hostId: string, link: Link): void {
    if (!link.isAway && !link.isAsking) this.#drop(hostId, link);
  }

  #drop(hostId: string, link: Link): void {
    link.timer?.cancel();
    link.timer = undefined;
    if (this.#links.get(hostId) === link) this.#links.delete(hostId);
  }
}
