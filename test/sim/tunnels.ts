// What the kernel of one machine has of tunnels to others: what it was told last, until it loses power.

import type { Overlay } from '../../src/layer0/network/overlay.ts';

type Wanted = Parameters<Overlay['ensure']>[0];

export class Tunnels implements Overlay {
  #told: Wanted | undefined;

  async ensure(wanted: Wanted): Promise<void> {
    this.#told = wanted;
  }

  follow(wanted: Wanted): Promise<void> {
    return this.ensure(wanted);
  }

  /** Nobody changes them but who is asked here. */
  async differences(): Promise<string[]> {
    return [];
  }

  /** Nobody in a simulation has any. */
  async endConnections(): Promise<number> {
    return 0;
  }

  forget(): void {
    this.#told = undefined;
  }

  /** `<vni> <address> <member>` for each forwarding entry. */
  entries(): Set<string> {
    const networks = this.#told?.networks ?? [];
    return new Set(
      networks.flatMap(({ vni, endpoints }) =>
        endpoints.map(({ ip, member }) => `${vni} ${ip} ${member}`),
      ),
    );
  }
}
