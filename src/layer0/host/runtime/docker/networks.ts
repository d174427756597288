// Bridge networks of the engine, by name: made once, compared when they exist, removed when nobody is on them.

import { engineErrors } from '../errors.ts';
import type { Network, NewNetwork, Runtime } from '../runtime.ts';
import { absentIsUndefined, ignore, labelFilter } from './containers.ts';
import type { EngineTransport } from './transport.ts';

type NetworkCalls = Pick<Runtime, 'ensureNetwork' | 'listNetworks' | 'removeNetwork'>;

const bridgeNameOption = 'com.docker.network.bridge.name';
const betweenContainersOption = 'com.docker.network.bridge.enable_icc';
/** Known from engine 28.2 on; an older one ignores it, and 27 and before need it for nothing. */
const trustedOption = 'com.docker.network.bridge.trusted_host_interfaces';
const mtuOption = 'com.docker.network.driver.mtu';

interface InspectedNetwork {
  Id: string;
  Name: string;
  IPAM?: { Config?: { Subnet?: string; Gateway?: string }[] | null };
  Options?: Record<string, string> | null;
  Labels?: Record<string, string> | null;
}

export function createNetworkCalls(transport: EngineTransport): NetworkCalls {
  /** Calls for one name go one after the other: older engines would make two networks of that name. */
  const inFlight = new Map<string, Promise<void>>();

  async function find(name: string): Promise<Network | undefined> {
    const path = `/networks/${encodeURIComponent(name)}`;
    const call = { method: 'GET', path, attempt: `inspect network ${name}` } as const;
    const seen = await absentIsUndefined(transport.json<InspectedNetwork>(call));
    // The engine also finds networks by the beginning of their id.
    return seen?.Name === name ? toNetwork(seen) : undefined;
  }

  async function ensure(wanted: NewNetwork): Promise<void> {
    const existing = await find(wanted.name);
    if (existing) return assertSame(existing, wanted);
    const attempt = `create network ${wanted.name}`;
    const body = networkBody(wanted);
    try {
      await transport.json({ method: 'POST', path: '/networks/create', attempt, body });
    } catch (error) {
      const other = await find(wanted.name);
      if (!other) throw error;
      assertSame(other, wanted);
    }
  }

  return {
    ensureNetwork(wanted) {
      const before = inFlight.get(wanted.name) ?? Promise.resolve();
      const call = before.then(() => ensure(wanted));
      const settled = call.then(noop, noop).finally(() => {
        if (inFlight.get(wanted.name) === settled) inFlight.delete(wanted.name);
      });
      inFlight.set(wanted.name, settled);
      return call;
    },
    async listNetworks(labels) {
      const query = { filters: JSON.stringify({ label: labelFilter(labels) }) };
      const call = { method: 'GET', path: '/networks', attempt: 'list networks', query } as const;
      return (await transport.json<InspectedNetwork[]>(call)).map(toNetwork);
    },
    async removeNetwork(name) {
      const path = `/networks/${encodeURIComponent(name)}`;
      const attempt = `remove network ${name}`;
      try {
        await transport.json({ method: 'DELETE', path, attempt }).catch(ignore('engine.notFound'));
      } catch (error) {
        if (!/active endpoints/.test(String(error))) throw error;
        const text = `could not ${attempt}: containers are still on it`;
        throw engineErrors.conflict(text, { cause: error });
      }
    },
  };
}

/** The body of `POST /networks/create`. */
export function networkBody(network: NewNetwork): Record<string, unknown> {
  return {
    Name: network.name,
    CheckDuplicate: true,
    Driver: 'bridge',
    IPAM: { Config: [{ Subnet: network.subnet, Gateway: network.gateway }] },
    Options: {
      [bridgeNameOption]: network.bridge,
      [mtuOption]: String(network.mtu),
      ...(network.reachableFrom === undefined ? {} : { [trustedOption]: network.reachableFrom }),
      ...(network.isApart ? { [betweenContainersOption]: 'false' } : {}),
    },
    Labels: network.labels,
  };
}

function toNetwork(seen: InspectedNetwork): Network {
  const config = seen.IPAM?.Config?.[0];
  return {
    name: seen.Name,
    subnet: config?.Subnet ?? '',
    gateway: config?.Gateway ?? '',
    bridge: seen.Options?.[bridgeNameOption] ?? `br-${seen.Id.slice(0, 12)}`,
    labels: seen.Labels ?? {},
    ...(seen.Options?.[betweenContainersOption] === 'false' ? { isApart: true } : {}),
  };
}

function assertSame(existing: Network, wanted: Network): void {
  for (const field of ['subnet', 'gateway', 'bridge'] as const) {
    if (existing[field] === wanted[field]) continue;
    throw engineErrors.conflict(
      `could not create network ${wanted.name}: one of that name has ${field} ${existing[field]}, not ${wanted[field]}: remove it`,
    );
  }
}

function noop(): void {}
