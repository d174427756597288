// The door of the network: a network per app, an address per job, none given twice whatever crashes.

import type { Clock } from '#core/clock';
import type { Component } from '#core/component';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import type { Store } from '#layer0/store/client';
import { AppNetworks } from './app-networks.ts';
import type { NetworkConfig } from './config.ts';
import type { Firewall } from './firewall.ts';
import type { AddressClaim } from './ledger.ts';
import type { Overlay } from './overlay.ts';
import type { Address, AppNetwork, Attachment, CarriedNetwork } from './wire.ts';

export type { NetworkConfig } from './config.ts';
export { gatewayOf } from './decide/cidr.ts';
export type { Firewall } from './firewall.ts';
export { readDoubles } from './read-doubles.ts';
export type { Address, AppNetwork, Attachment, CarriedNetwork } from './wire.ts';

export interface Network extends Component {
  /**
   * The app's network, recorded and present on this machine with the firewall in front of it. Idempotent; a new name only
   * changes the names inside containers made from then on.
   */
  ensureAppNetwork(app: string, appName: string): Promise<AppNetwork>;
  /** An address for the job: the same one however often it is asked, until `release`. */
  allocate(app: string, job: string, host: string): Promise<Attachment>;
  /** Call when the job's container is gone. Absent is no error. */
  release(job: string): Promise<void>;
  /**
   * The address that a running container of the job has is held by it, unless somebody else holds it by now. After a
   * restore the store may know nothing of it.
   */
  claim(claim: AddressClaim): Promise<void>;
  /** Held by jobs of a host, as this machine last saw it; undefined before the first look. */
  heldBy(host: string): readonly Address[] | undefined;
  /**
   * Takes the network off this machine; it is forgotten when no other machine carries it, and the answer says whether it is.
   * network.inUse while a job holds an address there. Absent is no error.
   */
  removeAppNetwork(app: string): Promise<boolean>;

  /** Name of the engine's network for what its builds run: behind the same firewall, nobody on it reaches another. */
  ensureBuildNetwork(): Promise<string>;

  list(): Promise<AppNetwork[]>;
  /** Those that this machine carries. */
  carried(): Promise<CarriedNetwork[]>;
  /** Addresses of one app, freed ones too. */
  addresses(app: string): Promise<Address[]>;
  /** Calls back with every app network that this machine carries, now and whenever one comes, goes or changes. */
  watch(callback: (networks: readonly CarriedNetwork[]) => void): () => void;
  /** Looks at firewall, networks and tunnels now: call it when the engine came back, and when a machine came or went. */
  resync(): void;
  /**
   * In what this machine's tunnels and routes differ from the records, as commands that would mend it. It takes a second when
   * they do: what the loop mends meanwhile is not told.
   */
  differences(): Promise<string[]>;
  /**
   * Ends what this machine's own processes, not containers, have open to the address of a job on another machine; answers how many
   * connections that were. Who waits there for a machine that is gone hears of it at once, as of a reset. network.notElsewhere
   * when no other machine has the address.
   */
  endConnections(ip: string): Promise<number>;
}

export interface EngineNetwork {
  name: string;
  subnet: string;
  gateway: string;
  bridge: string;
  labels: Record<string, string>;
  /** Containers on it do not reach one another. */
  isApart?: true;
}

/** The part of the container engine that the network needs; the host's runtime has it. */
export interface EngineNetworks {
  /** `reachableFrom`: a device of the machine that packets for its containers may come from, beside its own bridge. */
  ensureNetwork(network: EngineNetwork & { mtu: number; reachableFrom: string }): Promise<void>;
  listNetworks(labels: Record<string, string>): Promise<EngineNetwork[]>;
  /** Absent is no error. */
  removeNetwork(name: string): Promise<void>;
}

export interface NetworkDeps {
  store: Store;
  runtime: EngineNetworks;
  firewall: Firewall;
  overlay: Overlay;
  /** Addresses of the other machines of the cluster, by host id. */
  others: () => ReadonlyMap<string, string>;
  clock: Clock;
  random: Random;
  log: Log;
  /** Ranges that the machine already routes elsewhere, as CIDR. */
  routes?: () => Promise<string[]>;
  /** How many jobs an app is to have: its network is made large enough for them and those that replace them. */
  jobsOf?: (app: string) => Promise<number>;
}

/** Where gantry-dns listens for these networks, and who asks there. */
export function dnsListeners(networks: readonly CarriedNetwork[]) {
  return networks.map(({ gateway, subnet, appName }) => ({
    address: gateway,
    subnet,
    app: appName,
  }));
}

export function createNetwork(deps: NetworkDeps, config: NetworkConfig): Network {
  return new AppNetworks(deps, config);
}
