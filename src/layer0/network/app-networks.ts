// Joins the ledger with this machine: a network that is recorded exists in the engine, behind the firewall.

import { createLoop, type Loop } from '#core/reconcile';
import { createMirror, type Mirror } from '#layer0/store/client';
import type { EngineNetwork, Network, NetworkDeps } from './client.ts';
import type { NetworkConfig } from './config.ts';
import { macOf } from './decide/cidr.ts';
import { endpointsOf } from './decide/endpoints.ts';
import { bridgePrefix } from './decide/names.ts';
import { Ledger } from './ledger.ts';
import { machineRoutes } from './machine.ts';
import {
  type Address,
  type AppNetwork,
  type Attachment,
  addressPrefix,
  type CarriedNetwork,
} from './wire.ts';

const resyncMs = 30_000;
/** The network of builds is recorded like an app's. No app can have this name: it is no DNS label. */
const builds = { app: 'builds', appName: '_builds' };

export class AppNetworks implements Network {
  readonly #deps: NetworkDeps;
  readonly #config: NetworkConfig;
  readonly #ledger: Ledger;
  readonly #loop: Loop;
  readonly #watches = new Set<(networks: readonly CarriedNetwork[]) => void>();
  /** Networks that this process has put in place, by app. */
  readonly #present = new Map<string, CarriedNetwork>();
  readonly #turns = new Map<string, Promise<void>>();
  readonly #ending = new AbortController();
  #addresses: Mirror<Address> | undefined;
  #hasTunnels = true;
  #isClaimed = false;
  #known: readonly CarriedNetwork[] = [];

  constructor(deps: NetworkDeps, config: NetworkConfig) {
    this.#deps = deps;
    this.#config = config;
    const routes = deps.routes ?? (() => machineRoutes(bridgePrefix(config.cluster)));
    this.#ledger = new Ledger({ store: deps.store, clock: deps.clock, routes }, config);
    this.#loop = createLoop({
      name: 'network',
      run: () => this.#pass(),
      resyncMs,
      clock: deps.clock,
      random: deps.random,
      log: deps.log,
    });
  }

  async start(): Promise<void> {
    const { firewall, store, clock, random, log } = this.#deps;
    await firewall.ensure();
    const signal = this.#ending.signal;
    // Only tunnels need to hear of each address, and only where there is another machine.
    const onChange = () => {
      if (this.#deps.others().size > 0) this.#loop.trigger();
    };
    this.#addresses = createMirror(store, addressPrefix, { clock, random, log, signal, onChange });
    this.#loop.start();
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#loop.stop();
  }

  status(): Record<string, unknown> {
    return {
      networks: this.#known.length,
      present: this.#present.size,
      firewall: this.#deps.firewall.status(),
      loop: this.#loop.status(),
    };
  }

  resync(): void {
    this.#loop.trigger();
  }

  ensureAppNetwork(app: string, appName: string): Promise<AppNetwork> {
    return this.#inTurn(app, async () => {
      const network = await this.#ledger.ensureNetwork(app, appName);
      const gateway = await this.#ledger.ensureGateway(network);
      await this.#materialize({ ...network, gateway });
      await this.#publish();
      await this.#tunnel();
      return network;
    });
  }

  async allocate(app: string, job: string, host: string): Promise<Attachment> {
    const { ip, network } = await this.#ledger.allocate(app, job, host);
    const gateway = await this.#ledger.ensureGateway(network);
    return {
      networkName: network.networkName,
      ip,
      mac: macOf(ip),
      dns: [gateway],
      dnsSearch: [`${network.appName}.service.${this.#config.domain}`],
      // Docker writes ndots:0 by itself, with which musl never uses the search list.
      dnsOptions: ['ndots:1'],
    };
  }

  release(job: string): Promise<void> {
    return this.#ledger.release(job);
  }

  removeAppNetwork(app: string): Promise<void> {
    return this.#inTurn(app, async () => {
      const network = await this.#ledger.close(app);
      if (!network) return;
      this.#present.delete(app);
      await this.#deps.runtime.removeNetwork(network.networkName);
      await this.#ledger.leave(app);
      await this.#ledger.forget(app);
      await this.#publish();
    });
  }

  async ensureBuildNetwork(): Promise<string> {
    return (await this.ensureAppNetwork(builds.app, builds.appName)).networkName;
  }

  list(): Promise<AppNetwork[]> {
    return this.#ledger.networks();
  }

  carried(): Promise<CarriedNetwork[]> {
    return this.#ledger.carried();
  }

  addresses(app: string): Promise<Address[]> {
    return this.#ledger.addresses(app);
  }

  watch(callback: (networks: readonly CarriedNetwork[]) => void): () => void {
    this.#watches.add(callback);
    callback(this.#known);
    return () => this.#watches.delete(callback);
  }

  async #pass(): Promise<void> {
    await this.#deps.firewall.ensure();
    await this.#claim();
    const labels = { 'gantry.cluster': this.#config.cluster };
    const there = new Set((await this.#deps.runtime.listNetworks(labels)).map(({ name }) => name));
    for (const network of [...this.#present.values()]) {
      if (there.has(network.networkName)) continue;
      await this.#inTurn(network.app, async () => {
        if (this.#present.get(network.app) !== network) return;
        this.#present.delete(network.app);
        await this.#materialize(network);
      });
    }
    await this.#publish();
    await this.#tunnel();
  }

  /** Networks of a version that knew one machine: it has their first address. */
  async #claim(): Promise<void> {
    if (this.#isClaimed) return;
    for (const { app, appName, gatewayHost, isRemoving } of await this.#ledger.networks())
      if (gatewayHost === undefined && !isRemoving) await this.#ledger.ensureNetwork(app, appName);
    this.#isClaimed = true;
  }

  /** The tunnels of the networks carried here, as the store knows addresses now; a machine that is alone has none. */
  async #tunnel(): Promise<void> {
    const { others, overlay } = this.#deps;
    const members = others();
    const addresses = this.#addresses;
    if (!addresses?.revision || (members.size === 0 && !this.#hasTunnels)) return;
    const { cluster, host, address: local, mtu } = this.#config;
    const known = [...addresses.entries().values()].map(({ value }) => value);
    const networks = members.size === 0 ? [] : endpointsOf(this.#known, known, { host, members });
    await overlay.ensure({ cluster, local, mtu, networks });
    this.#hasTunnels = networks.length > 0;
  }

  /** One at a time for each app: a network that is wanted again while it goes must not go after it came. */
  async #inTurn<T>(app: string, act: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(app);
    const mine = Promise.withResolvers<void>();
    this.#turns.set(app, mine.promise);
    await before;
    try {
      return await act();
    } finally {
      mine.resolve();
      if (this.#turns.get(app) === mine.promise) this.#turns.delete(app);
    }
  }

  async #publish(): Promise<void> {
    const networks = await this.#ledger.carried();
    if (JSON.stringify(networks) === JSON.stringify(this.#known)) return;
    this.#known = networks;
    for (const callback of [...this.#watches]) callback(networks);
  }

  async #materialize(network: CarriedNetwork): Promise<void> {
    if (this.#present.get(network.app)?.networkName === network.networkName) return;
    await this.#deps.runtime.ensureNetwork({
      ...this.#engineNetwork(network),
      mtu: this.#config.mtu,
    });
    this.#present.set(network.app, network);
  }

  #engineNetwork(network: CarriedNetwork): EngineNetwork {
    return {
      name: network.networkName,
      subnet: network.subnet,
      gateway: network.gateway,
      bridge: network.bridge,
      labels: { 'gantry.cluster': this.#config.cluster, 'gantry.app': network.app },
      ...(network.app === builds.app ? { isApart: true } : {}),
    };
  }
}
