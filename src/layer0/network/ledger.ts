// Who has which subnet and which address: every gift is one compare transaction, so that nothing is given twice.

import type { Clock } from '#core/clock';
import { memberKey } from '#layer0/membership/wire';
import { type Entry, listAll, type Store, type Txn } from '#layer0/store/client';
import { maxTxnOperations } from '#layer0/store/wire';
import { maxConflicts, type NetworkConfig } from './config.ts';
import { nextAddress, nextSubnet, nextVni, prefixFor } from './decide/allocate.ts';
import { contains, gatewayOf, parseCidr, parseIp } from './decide/cidr.ts';
import { bridgeName, networkName } from './decide/names.ts';
import { networkErrors } from './errors.ts';
import {
  type Address,
  type AppNetwork,
  addressKey,
  addressPrefix,
  appNetworkKey,
  appNetworkPrefix,
  type CarriedNetwork,
  gatewayHolder,
  gatewayHolderPrefix,
  type JobAddress,
  jobAddressKey,
  type Pool,
  poolKey,
  routesApp,
} from './wire.ts';

/** Who has which address of an app. */
export type AddressClaim = Pick<Address, 'app' | 'job' | 'host' | 'ip'>;

export interface LedgerDeps {
  store: Store;
  clock: Clock;
  routes: () => Promise<string[]>;
  /** How many addresses an app that gets its network now will want. */
  wantedAddresses: (app: string) => Promise<number>;
}

export class Ledger {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #routes: () => Promise<string[]>;
  readonly #wantedAddresses: (app: string) => Promise<number>;
  readonly #config: NetworkConfig;

  constructor({ store, clock, routes, wantedAddresses }: LedgerDeps, config: NetworkConfig) {
    this.#store = store;
    this.#clock = clock;
    this.#routes = routes;
    this.#wantedAddresses = wantedAddresses;
    this.#config = config;
  }

  async networks(): Promise<AppNetwork[]> {
    return (await listAll<AppNetwork>(this.#store, appNetworkPrefix)).map((entry) => entry.value);
  }

  async addresses(app: string): Promise<Address[]> {
    const entries = await listAll<Address>(this.#store, `${addressPrefix}${app}/`);
    return entries.map((entry) => entry.value);
  }

  /** The app's network, given now if it has none; its name is brought up to date. */
  ensureNetwork(app: string, appName: string): Promise<AppNetwork> {
    return this.#untilCommitted(`give app ${app} a network`, async () => {
      const there = await this.#store.get<AppNetwork>(appNetworkKey(app));
      if (!there) return this.#planNetwork(app, appName);
      const { isRemoving, ...kept } = there.value;
      const result = { gatewayHost: this.#config.host, ...kept, appName };
      const isSame = kept.gatewayHost !== undefined && kept.appName === appName && !isRemoving;
      return isSame ? { result } : { result, txn: replace(there, result) };
    });
  }

  /** This machine's own address in the network. */
  async ensureGateway({ app, subnet, gatewayHost }: AppNetwork): Promise<string> {
    const { host } = this.#config;
    if (gatewayHost === host) return gatewayOf(subnet);
    return (await this.allocate(app, gatewayHolder(app, host), host)).ip;
  }

  /** The networks that this machine has an address of its own in. */
  async carried(): Promise<CarriedNetwork[]> {
    const { host } = this.#config;
    const [networks, held] = await Promise.all([
      this.networks(),
      listAll<JobAddress>(this.#store, jobAddressKey(gatewayHolderPrefix)),
    ]);
    const gateways = new Map(held.map(({ key, value }) => [key, value.ip]));
    return networks.flatMap((network) => {
      const { app, subnet, gatewayHost } = network;
      if (app === routesApp) return [];
      const gateway =
        gatewayHost === host
          ? gatewayOf(subnet)
          : gateways.get(jobAddressKey(gatewayHolder(app, host)));
      return gateway === undefined ? [] : [{ ...network, gateway }];
    });
  }

  /** The job's address, given now if it has none. */
  allocate(app: string, job: string, host: string): Promise<{ ip: string; network: AppNetwork }> {
    return this.#untilCommitted(`give job ${job} an address`, async () => {
      const network = await this.#store.get<AppNetwork>(appNetworkKey(app));
      if (!network || network.value.isRemoving)
        throw networkErrors.notFound(`job ${job} gets no address: app ${app} has no network`);
      const held = await this.#store.get<JobAddress>(jobAddressKey(job));
      if (held) return { result: { ip: held.value.ip, network: network.value } };
      return this.#planAddress(network, job, host);
    });
  }

  /** Nothing to do where the job holds an address already, or somebody else this one. */
  claim({ app, job, host, ip }: AddressClaim): Promise<void> {
    return this.#untilCommitted(`note the address of job ${job}`, async () => {
      const network = await this.#store.get<AppNetwork>(appNetworkKey(app));
      const held = await this.#store.get<JobAddress>(jobAddressKey(job));
      const there = await this.#store.get<Address>(addressKey(app, ip));
      const isFree = there === undefined || there.value.freedAt !== undefined;
      const isInside = network && contains(parseCidr(network.value.subnet), parseIp(ip));
      if (!network || held || !isFree || !isInside) return { result: undefined };
      return { result: undefined, txn: giveTo({ app, job, host, ip }, network, there) };
    });
  }

  release(job: string): Promise<void> {
    return this.#release(job);
  }

  /**
   * Frees what machines that were removed from the cluster held: no tunnel of a member leads there any more. Whose record of
   * membership is missing was removed only if ours is there: a cluster that never had two machines has none.
   */
  async collectRemoved(hosts: ReadonlySet<string>): Promise<void> {
    if (hosts.size === 0 || !(await this.#store.get(memberKey(this.#config.host)))) return;
    const entries = await listAll<Address>(this.#store, addressPrefix);
    for (const { value } of entries)
      if (value.freedAt === undefined && hosts.has(value.host))
        await this.#release(value.job, value.host);
    for (const { app, gatewayHost, isRemoving } of await this.networks())
      if (isRemoving && gatewayHost !== undefined && hosts.has(gatewayHost))
        await this.#leaveFor(app, gatewayHost);
  }

  /** `removed`: only if this host is no member. */
  #release(job: string, removed?: string): Promise<void> {
    return this.#untilCommitted(`free the address of job ${job}`, async () => {
      const held = await this.#store.get<JobAddress>(jobAddressKey(job));
      if (!held || (await this.#isMember(removed))) return { result: undefined };
      const key = addressKey(held.value.app, held.value.ip);
      const address = await this.#store.get<Address>(key);
      const txn: Txn = {
        compare: [{ key: held.key, modRevision: held.modRevision }, ...absent(removed)],
        operations: [{ delete: held.key }],
      };
      if (address) {
        txn.compare.push({ key, modRevision: address.modRevision });
        const freed: Address = { ...address.value, freedAt: this.#clock.now() };
        txn.operations.push({ put: key, value: freed });
      }
      return { result: undefined, txn };
    });
  }

  /** Stops giving addresses of the app's network; undefined when there is none, network.inUse when some are held. */
  async close(app: string): Promise<AppNetwork | undefined> {
    const network = await this.#untilCommitted(`close the network of app ${app}`, async () => {
      const there = await this.#store.get<AppNetwork>(appNetworkKey(app));
      if (!there || there.value.isRemoving) return { result: there?.value };
      const result: AppNetwork = { ...there.value, isRemoving: true };
      return { result, txn: replace(there, result) };
    });
    if (!network) return undefined;
    const held = (await this.addresses(app)).filter(
      ({ freedAt, job }) => freedAt === undefined && !job.startsWith(gatewayHolderPrefix),
    );
    if (held.length === 0) return network;
    await this.ensureNetwork(app, network.appName);
    throw networkErrors.inUse(
      `the network of app ${network.appName} stays: ${held.length} jobs hold addresses in it`,
      { detail: { jobs: held.slice(0, 10).map(({ job }) => job) } },
    );
  }

  /** This machine carries the closed network no more. */
  async leave(app: string): Promise<void> {
    const { host } = this.#config;
    await this.release(gatewayHolder(app, host));
    await this.#leaveFor(app, host);
  }

  #leaveFor(app: string, host: string): Promise<void> {
    return this.#untilCommitted(`leave the network of app ${app}`, async () => {
      const there = await this.#store.get<AppNetwork>(appNetworkKey(app));
      if (there?.value.gatewayHost !== host || !there.value.isRemoving)
        return { result: undefined };
      const { gatewayHost: _, ...left } = there.value;
      return { result: undefined, txn: replace(there, left) };
    });
  }

  async #isMember(host: string | undefined): Promise<boolean> {
    return host !== undefined && (await this.#store.get(memberKey(host))) !== undefined;
  }

  /** Forgets a closed network that no machine carries, and its freed addresses: its subnet may be given again. */
  async forget(app: string): Promise<void> {
    const there = await this.#store.get<AppNetwork>(appNetworkKey(app));
    if (!there?.value.isRemoving || there.value.gatewayHost !== undefined) return;
    if ((await this.addresses(app)).some(({ freedAt }) => freedAt === undefined)) return;
    // Every delete is bound to the closed record: whoever opens it again in between keeps what it gives.
    const compare = [unchanged(there.key, there)];
    const addresses = await listAll<Address>(this.#store, `${addressPrefix}${app}/`);
    const keys = [...addresses.map((entry) => entry.key), there.key];
    const most = maxTxnOperations - compare.length;
    for (let start = 0; start < keys.length; start += most) {
      const operations = keys.slice(start, start + most).map((key) => ({ delete: key }));
      if (!(await this.#store.txn({ compare, operations })).ok) return;
    }
  }

  async #planNetwork(app: string, appName: string): Promise<Plan<AppNetwork>> {
    const { cluster } = this.#config;
    const pool = parseCidr(this.#config.pool);
    const wanted = await this.#wantedAddresses(app);
    const prefixLength = prefixFor(wanted, pool, this.#config.prefixLength);
    // The pool is read before the networks: who gave one in between has changed it, and the commit fails.
    const given = await this.#store.get<Pool>(poolKey);
    const [networks, routes] = await Promise.all([this.networks(), this.#routes()]);
    const subnet = nextSubnet({
      pool,
      prefixLength,
      taken: [...networks.map((network) => network.subnet), ...routes].map(parseCidr),
      ...(given ? { last: given.value.lastSubnet } : {}),
    });
    if (!subnet)
      throw networkErrors.poolFull(
        `app ${appName} gets no network: no /${prefixLength} of ${this.#config.pool} is free`,
      );
    const vni = nextVni(new Set(networks.map((network) => network.vni)), given?.value.lastVni ?? 0);
    const names = { networkName: networkName(appName, app), bridge: bridgeName(cluster, vni) };
    const gatewayHost = this.#config.host;
    const result: AppNetwork = { app, appName, subnet, vni, ...names, gatewayHost };
    const last: Pool = { lastSubnet: subnet, lastVni: vni };
    const txn: Txn = {
      compare: [unchanged(poolKey, given), { key: appNetworkKey(app), is: 'absent' }],
      operations: [
        { put: appNetworkKey(app), value: result },
        { put: poolKey, value: last },
      ],
    };
    return { result, txn };
  }

  async #planAddress(
    network: Entry<AppNetwork>,
    job: string,
    host: string,
  ): Promise<Plan<{ ip: string; network: AppNetwork }>> {
    const { app, appName, subnet } = network.value;
    const entries = await listAll<Address>(this.#store, `${addressPrefix}${app}/`);
    const ip = nextAddress(
      subnet,
      entries.map((entry) => entry.value),
    );
    if (!ip)
      throw networkErrors.subnetFull(`job ${job} gets no address: ${subnet} of ${appName} is full`);
    const there = entries.find(({ key }) => key === addressKey(app, ip));
    const txn = giveTo({ app, job, host, ip }, network, there);
    return { result: { ip, network: network.value }, txn };
  }

  /** Plans on what is there and commits; when another writer was faster, plans again. */
  async #untilCommitted<T>(what: string, plan: () => Promise<Plan<T>>): Promise<T> {
    for (let conflicts = 0; conflicts < maxConflicts; conflicts++) {
      const { result, txn } = await plan();
      if (!txn || (await this.#store.txn(txn)).ok) return result;
    }
    throw networkErrors.contended(
      `could not ${what}: ${maxConflicts} times another writer was faster`,
    );
  }
}

interface Plan<T> {
  result: T;
  /** Absent when there is nothing to write. */
  txn?: Txn;
}

/** All that the gift rests on is compared: the network, the address as it was read, that the job has none. */
function giveTo(
  { app, job, host, ip }: AddressClaim,
  network: Entry<AppNetwork>,
  there: Entry<Address> | undefined,
): Txn {
  const key = addressKey(app, ip);
  const address: Address = { app, ip, job, host };
  const holds: JobAddress = { app, ip };
  return {
    compare: [
      unchanged(network.key, network),
      unchanged(key, there),
      { key: jobAddressKey(job), is: 'absent' },
    ],
    operations: [
      { put: key, value: address },
      { put: jobAddressKey(job), value: holds },
    ],
  };
}

function replace(entry: Entry, value: unknown): Txn {
  return {
    compare: [{ key: entry.key, modRevision: entry.modRevision }],
    operations: [{ put: entry.key, value }],
  };
}

function absent(host: string | undefined): Txn['compare'] {
  return host === undefined ? [] : [{ key: memberKey(host), is: 'absent' }];
}

function unchanged(key: string, entry: Entry | undefined): Txn['compare'][number] {
  return entry ? { key, modRevision: entry.modRevision } : { key, is: 'absent' };
}
