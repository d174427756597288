// Does gantry-dns answer? It is a process of its own, so that it outlives this daemon; here it is only looked at.

import { connect } from 'node:net';
import { createLoop, type Loop, type LoopOptions } from '#core/reconcile';
import type { DnsReport } from '#layer0/host/wire';

/** Opens a TCP connection; false when it is refused or takes too long. */
export type Connects = (address: string, port: number) => Promise<boolean>;

export interface DnsWatchDeps extends Pick<LoopOptions, 'clock' | 'random' | 'log'> {
  /** The address DNS listens on for one of the app networks; undefined while there is none. */
  address(): Promise<string | undefined>;
  connects?: Connects;
}

/** How often it is looked at. */
const everyMs = 5_000;
const timeoutMs = 1_000;
const dnsPort = 53;

export class DnsWatch {
  readonly loop: Loop;
  #report: DnsReport | undefined;

  constructor(deps: DnsWatchDeps) {
    const { address, connects = connectsOverTcp, clock, random, log } = deps;
    const run = async () => {
      const asked = await address();
      const isAnswering = asked !== undefined && (await connects(asked, dnsPort));
      this.#report = asked === undefined ? undefined : { address: asked, isAnswering };
    };
    this.loop = createLoop({ name: 'watch-dns', resyncMs: everyMs, clock, random, log, run });
  }

  /** Undefined before the first look, and while there is nothing to answer for. */
  report(): DnsReport | undefined {
    return this.#report;
  }
}

function connectsOverTcp(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port, timeout: timeoutMs });
    const done = (isOpen: boolean) => {
      socket.destroy();
      resolve(isOpen);
    };
    socket.once('connect', () => done(true));
    socket.once('timeout', () => done(false));
    socket.once('error', () => done(false));
  });
}
