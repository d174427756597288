// Joins the ledger with this machine: a network that is recorded exists in the engine, behind the firewall.

import { isDeepStrictEqual } from 'node:util';
import { createLoop, type Loop } from '#core/reconcile';
import { createMirror, type Mirror } from '#layer0/store/client';
import type { EngineNetwork, Network, NetworkDeps } from './client.ts';
import type { NetworkConfig } from './config.ts';
import { macOf } from './decide/cidr.ts';
import { endpointsOf } from './decide/endpoints.ts';
import { bridgePrefix, routesName } from './decide/names.ts';
import type { OverlayWanted } from './decide/overlay.ts';
import { routesOf } from './decide/routes.ts';
import { networkErrors } from './errors.ts';
import { type AddressClaim, Ledger } from './ledger.ts';
import { machineRoutes } from './machine.ts';
import {
  type Address,
  type AppNetwork,
  type Attachment,
  addressKey,
  addressPrefix,
  type CarriedNetwork,
  gatewayHolder,
  gatewayHolderPrefix,
  routesApp,
} from './wire.ts';

const resyncMs = 30_000;
/** What is told to be different has had this long to be mended. */
const mendMs = 1_000;
/** The network of builds is recorded like an app's. No app can have this name: it is no DNS label. */
const builds = { app: 'builds', appName: '_builds' };
const machines = { app: routesApp, appName: '_routes' };
/** As many machines may have an address among themselves, where the pool is large enough. */
const maxMachines = 4_000;

export class AppNetworks implements Network {
  readonly #deps: NetworkDeps;
  readonly #config: NetworkConfig;
  readonly #ledger: Ledger;
  readonly #loop: Loop;
  /** Entries of tunnels, and who was refused: what a change of an address asks for. */
  readonly #following: Loop;
  readonly #watches = new Set<(networks: readonly CarriedNetwork[]) => void>();
  /** Networks that this process has put in place, by app. */
  readonly #present = new Map<string, CarriedNetwork>();
  readonly #turns = new Map<string, Promise<void>>();
  readonly #ending = new AbortController();
  #addresses: Mirror<Address> | undefined;
  #hasTunnels = true;
  #isClaimed = false;
  /** Subnet and VNI of the machines among themselves, once this one has an address there. */
  #routes: AppNetwork | undefined;
  #known: readonly CarriedNetwork[] = [];

  constructor(deps: NetworkDeps, config: NetworkConfig) {
    this.#deps = deps;
    this.#config = config;
    const { store, clock, jobsOf = async () => 0 } = deps;
    const own = [bridgePrefix(config.cluster), routesName(config.cluster)];
    const routes = deps.routes ?? (() => machineRoutes(own));
    const wantedAddresses = async (app: string) =>
      app === routesApp ? maxMachines : 2 * (await jobsOf(app));
    this.#ledger = new Ledger({ store, clock, routes, wantedAddresses }, config);
    const common = { resyncMs, clock, random: deps.random, log: deps.log };
    this.#loop = createLoop({ name: 'network', run: () => this.#pass(), ...common });
    const run = async () => {
      await this.#tunnel('follow');
      // An address that was let go is forgotten soon, and with it whose it was.
      await this.#tellRefused();
    };
    this.#following = createLoop({ name: 'tunnels', run, ...common });
  }

  async start(): Promise<void> {
    const { firewall, store, clock, random, log } = this.#deps;
    await firewall.ensure(this.#memberAddresses());
    const signal = this.#ending.signal;
    // Only tunnels need to hear of each address, and only where there is another machine.
    const onChange = () => {
      if (this.#deps.others().size > 0) this.#following.trigger();
    };
    this.#addresses = createMirror(store, addressPrefix, { clock, random, log, signal, onChange });
    this.#loop.start();
    this.#following.start();
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#loop.stop();
    await this.#following.stop();
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
      const gateway = await this.#gatewayOf(network);
      const isNew = await this.#materialize({ ...network, gateway });
      if (!this.#known.some((one) => isDeepStrictEqual(one, { ...network, gateway })))
        await this.#publish();
      await this.#tunnel(isNew ? 'ensure' : 'follow');
      return network;
    });
  }

  async allocate(app: string, job: string, host: string): Promise<Attachment> {
    const { ip, network } = await this.#ledger.allocate(app, job, host);
    const gateway = await this.#gatewayOf(network);
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

  /** Asked of the store only where the copy of its records has none: it is wanted at every start of a job. */
  async #gatewayOf(network: AppNetwork): Promise<string> {
    const { app, subnet } = network;
    const known = this.#known.find((one) => one.app === app && one.subnet === subnet);
    const held = known && this.#addresses?.get(addressKey(app, known.gateway))?.value;
    const isOurs = held?.job === gatewayHolder(app, this.#config.host);
    if (known && isOurs && held.freedAt === undefined) return known.gateway;
    return this.#ledger.ensureGateway(network);
  }

  release(job: string): Promise<void> {
    return this.#ledger.release(job);
  }

  claim(claim: AddressClaim): Promise<void> {
    return this.#ledger.claim(claim);
  }

  heldBy(host: string): readonly Address[] | undefined {
    if (!this.#addresses?.isConnected) return undefined;
    return [...this.#addresses.entries().values()]
      .map(({ value }) => value)
      .filter(
        (one) =>
          one.host === host &&
          one.freedAt === undefined &&
          !one.job.startsWith(gatewayHolderPrefix),
      );
  }

  removeAppNetwork(app: string): Promise<boolean> {
    return this.#inTurn(app, async () => {
      const network = await this.#ledger.close(app);
      if (!network) return true;
      this.#present.delete(app);
      await this.#deps.runtime.removeNetwork(network.networkName);
      await this.#ledger.leave(app);
      await this.#ledger.forget(app);
      await this.#publish();
      return !(await this.#ledger.networks()).some((one) => one.app === app);
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
    await this.#deps.firewall.ensure(this.#memberAddresses());
    await this.#claim();
    await this.#joinRoutes();
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
    await this.#tunnel('ensure');
    await this.#collect();
    await this.#tellRefused();
  }

  #memberAddresses(): string[] {
    return [...this.#deps.others().values()];
  }

  /** An address among the machines, as soon as there is another one; kept from then on. */
  async #joinRoutes(): Promise<void> {
    if (this.#routes || this.#deps.others().size === 0) return;
    const { app, appName } = machines;
    const { host } = this.#config;
    const network = await this.#ledger.ensureNetwork(app, appName);
    await this.#ledger.allocate(app, gatewayHolder(app, host), host);
    this.#routes = network;
  }

  /** What removed machines held, and networks that go: each machine lets go of its own part. */
  async #collect(): Promise<void> {
    const members = this.#deps.others();
    const { host } = this.#config;
    const held = [...(this.#addresses?.entries().values() ?? [])].flatMap(({ value }) =>
      value.freedAt === undefined ? [value.host] : [],
    );
    const networks = await this.#ledger.networks();
    const gateways = networks.flatMap(({ gatewayHost }) => gatewayHost ?? []);
    const isUnknown = (one: string) => one !== host && !members.has(one);
    await this.#ledger.collectRemoved(new Set([...held, ...gateways].filter(isUnknown)));
  }

  /** A container that knocks where it may not is worth a line with its job; at most one for each address and pass. */
  async #tellRefused(): Promise<void> {
    const refused = await this.#deps.firewall.refused();
    if (refused.length === 0) return;
    const holders = new Map(
      [...(this.#addresses?.entries().values() ?? [])].map(({ value }) => [value.ip, value.job]),
    );
    for (const address of refused)
      this.#deps.log.warn(
        { address, job: holders.get(address) },
        'a container tried to reach a port of a machine that is not for containers, and was refused',
      );
  }

  /** Networks of a version that knew one machine: it has their first address. */
  async #claim(): Promise<void> {
    if (this.#isClaimed) return;
    for (const { app, appName, gatewayHost, isRemoving } of await this.#ledger.networks())
      if (gatewayHost === undefined && !isRemoving) await this.#ledger.ensureNetwork(app, appName);
    this.#isClaimed = true;
  }

  /** The tunnels of the networks carried here, as the store knows addresses now; a machine that is alone has none. */
  async #tunnel(how: 'ensure' | 'follow'): Promise<void> {
    const wanted = this.#wantedOverlay();
    if (!wanted) return;
    await this.#deps.overlay[how](wanted);
    this.#hasTunnels = wanted.networks.length > 0 || wanted.routes !== undefined;
  }

  /** Undefined before addresses are known, and where there is nothing to look at. */
  #wantedOverlay(): OverlayWanted | undefined {
    const members = this.#deps.others();
    const addresses = this.#addresses;
    if (!addresses?.revision || (members.size === 0 && !this.#hasTunnels)) return undefined;
    const { cluster, host, address: local, mtu } = this.#config;
    const known = [...addresses.entries().values()].map(({ value }) => value);
    const around = { host, members };
    const networks = members.size === 0 ? [] : endpointsOf(this.#known, known, around);
    const isJoined = members.size > 0 && this.#routes;
    const routes = isJoined ? routesOf(isJoined, known, around) : undefined;
    return { cluster, local, mtu, networks, ...(routes ? { routes } : {}) };
  }

  async differences(): Promise<string[]> {
    const first = await this.#compare();
    if (first.length === 0) return [];
    this.#loop.trigger();
    await this.#deps.clock.sleep(mendMs);
    const second = new Set(await this.#compare());
    return first.filter((one) => second.has(one));
  }

  async endConnections(ip: string): Promise<number> {
    const known = [...(this.#addresses?.entries().values() ?? [])].map(({ value }) => value);
    const isJob = ({ job }: Address) => !job.startsWith(gatewayHolderPrefix);
    if (!known.some((one) => one.ip === ip && one.host !== this.#config.host && isJob(one)))
      throw networkErrors.notElsewhere(`${ip} is no address of a job on another machine`);
    return this.#deps.overlay.endConnections(ip);
  }

  async #compare(): Promise<string[]> {
    const wanted = this.#wantedOverlay();
    return wanted ? await this.#deps.overlay.differences(wanted) : [];
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
    this.#following.trigger();
    for (const callback of [...this.#watches]) callback(networks);
  }

  /** Answers whether it was not there before. */
  async #materialize(network: CarriedNetwork): Promise<boolean> {
    if (this.#present.get(network.app)?.networkName === network.networkName) return false;
    await this.#deps.runtime.ensureNetwork({
      ...this.#engineNetwork(network),
      mtu: this.#config.mtu,
      reachableFrom: routesName(this.#config.cluster),
    });
    this.#present.set(network.app, network);
    return true;
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
