// Does the kernel of that machine answer? It does so for a process that stands still, too: only a machine without power or
// without a cable is silent.

import { connect } from 'node:net';
import type { Clock } from '#core/clock';
import { hasCode } from '#core/errors';

export interface Peer {
  hostId: string;
  address: string;
  /** Of its peer door; whether anybody listens there makes no difference. */
  port: number;
}

/** Resolves to whether anything came back within `withinMs`. Never rejects. */
export type Ask = (peer: Peer, withinMs: number) => Promise<boolean>;

export function createAsk(clock: Clock): Ask {
  return ({ address, port }, withinMs) =>
    new Promise((resolve) => {
      const socket = connect({ host: address, port });
      const end = (isAnswered: boolean) => {
        timer.cancel();
        socket.resetAndDestroy();
        resolve(isAnswered);
      };
      // An answer that came while this process stood still is read before the silence counts.
      const timer = clock.timer(withinMs, () => setImmediate(() => end(false)));
      socket.once('connect', () => end(true));
      socket.on('error', (error) =>
        end(hasCode(error, 'ECONNREFUSED') || hasCode(error, 'ECONNRESET')),
      );
    });
}
