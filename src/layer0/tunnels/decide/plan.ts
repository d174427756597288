// Which loopback ports of other machines are listened for here, and which of ours may be reached from there.

import { handleOf, type Instance } from '#layer0/discovery/wire';

export interface Wanted {
  /** Of this machine's loopback, and only this instance's. */
  address: string;
  /** The same on both machines. */
  port: number;
  /** The machine that the process is on, and the process. */
  host: string;
  handle: string;
}

type Services = ReadonlyMap<string, readonly Instance[]>;

/** By address and port; `services` are as this machine sees them. */
export function wantedTunnels(services: Services, here: string): Map<string, Wanted> {
  const wanted = new Map<string, Wanted>();
  for (const instance of everything(services)) {
    const { host, address } = instance;
    if (host === here || !isOnLoopback(instance)) continue;
    for (const port of portsOf(instance))
      wanted.set(`${address}:${port}`, { address, port, host, handle: handleOf(instance) });
  }
  return wanted;
}

/** Only what this machine's own agent registered, on loopback, under a port that it chose. */
export function isOffered(
  services: Services,
  { here, handle, port }: { here: string; handle: string; port: number },
): boolean {
  for (const instance of everything(services))
    if (instance.host === here && handleOf(instance) === handle && isOnLoopback(instance))
      return portsOf(instance).has(port);
  return false;
}

/** What programs registered over HTTP is not ours to reach: it names no machine, and beats by itself. */
function isOnLoopback({ address, host, ttlMs }: Instance): boolean {
  return host !== '' && ttlMs === undefined && address.startsWith('127.');
}

function portsOf({ port, ports }: Instance): Set<number> {
  return new Set([port, ...Object.values(ports)].filter((one) => one > 0));
}

function* everything(services: Services): Generator<Instance> {
  for (const instances of services.values()) yield* instances;
}
