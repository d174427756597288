// Joins the ledger with this machine: a network that is recorded exists in the engine, behind the firewall.

import { createLoop, type Loop } from '#core/reconcile';
import type { EngineNetwork, Network, NetworkDeps } from './client.ts';
import type { NetworkConfig } from './config.ts';
import { gatewayOf, macOf } from './decide/cidr.ts';
import { bridgePrefix } from './decide/names.ts';
import { Ledger } from './ledger.ts';
import { machineRoutes } from './machine.ts';
import type { Address, AppNetwork, Attachment } from './wire.ts';

const resyncMs = 30_000;
/** The network of builds is recorded like an app's. No app can have this name: it is no DNS label. */
const builds = { app: 'builds', appName: '_builds' };

export class AppNetworks implements Network {
  readonly #deps: NetworkDeps;
  readonly #config: NetworkConfig;
  readonly #ledger: Ledger;
  readonly #loop: Loop;
  readonly #watches = new Set<(networks: readonly AppNetwork[]) => void>();
  /** Networks that this process has put in place, by app. */
  readonly #present = new Map<string, AppNetwork>();
  readonly #turns = new Map<string, Promise<void>>();
  #known: readonly AppNetwork[] = [];

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
    await this.#deps.firewall.ensure();
    this.#loop.start();
  }

  async stop(): Promise<void> {
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
      await this.#materialize(network);
      await this.#publish();
      return network;
    });
  }

  async allocate(app: string, job: string, host: string): Promise<Attachment> {
    const { ip, network } = await this.#ledger.allocate(app, job, host);
    return {
      networkName: network.networkName,
      ip,
      mac: macOf(ip),
      dns: [gatewayOf(network.subnet)],
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

  addresses(app: string): Promise<Address[]> {
    return this.#ledger.addresses(app);
  }

  watch(callback: (networks: readonly AppNetwork[]) => void): () => void {
    this.#watches.add(callback);
    callback(this.#known);
    return () => this.#watches.delete(callback);
  }

  async #pass(): Promise<void> {
    await this.#deps.firewall.ensure();
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
    const networks = await this.#ledger.networks();
    if (JSON.stringify(networks) === JSON.stringify(this.#known)) return;
    this.#known = networks;
    for (const callback of [...this.#watches]) callback(networks);
  }

  async #materialize(network: AppNetwork): Promise<void> {
    if (this.#present.get(network.app)?.networkName === network.networkName) return;
    await this.#deps.runtime.ensureNetwork({
      ...this.#engineNetwork(network),
      mtu: this.#config.mtu,
    });
    this.#present.set(network.app, network);
  }

  #engineNetwork(network: AppNetwork): EngineNetwork {
    return {
      name: network.networkName,
      subnet: network.subnet,
      gateway: gatewayOf(network.subnet),
      bridge: network.bridge,
      labels: { 'gantry.cluster': this.#config.cluster, 'gantry.app': network.app },
      ...(network.app === builds.app ? { isApart: true } : {}),
    };
  }
}
