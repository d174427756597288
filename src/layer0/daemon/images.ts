// Images of this machine among others: from the registries of the cluster, and where those lack one, from a machine that has it.

import { hasCode } from '#core/errors';
import { passedOn } from '#layer0/host/http';
import { createImages, type Images, type ImagesDeps, type Others } from '#layer0/images/index';
import type { Peers } from '#layer0/membership/index';
import type { Network } from '#layer0/network/index';
import type { Store } from '#layer0/store/client';
import { archiveTimeoutMs, fetchFromPeers, othersOf } from './cluster.ts';
import type { DaemonConfig, DaemonDeps } from './index.ts';
import { RegistryKeeper } from './registry-keeper.ts';

interface ImageParts {
  store: Store;
  peers: Peers;
  runtime: ImagesDeps['runtime'];
  network: Pick<Network, 'ensureBuildNetwork'>;
  containerOf: NonNullable<ImagesDeps['containerOf']>;
}

export function createDaemonImages(
  deps: DaemonDeps,
  config: DaemonConfig,
  { store, peers, runtime, network, containerOf }: ImageParts,
): { images: Images; registry: RegistryKeeper } {
  const registry = new RegistryKeeper({ ...deps, store, peers, images: () => images }, config);
  const images: Images = createImages({
    runtime,
    registries: { list: () => registry.list(), engine: registry.engine },
    others: imageHolders(peers, config.hostId),
    clock: deps.clock,
    log: deps.log.child({ part: 'images' }),
    fetch: (image) => fetchFromPeers(peers, config.hostId, image),
    buildNetwork: () => network.ensureBuildNetwork(),
    containerOf,
  });
  return { images, registry };
}

/** The other members, as holders of images. */
function imageHolders(peers: Peers, self: string): Others {
  return {
    list: () => [...othersOf(peers, self).keys()],
    async holds(host, image) {
      try {
        // What it has itself, and not what it knows of others.
        const options = { query: { reference: image }, headers: { [passedOn]: self } };
        await peers.client(host).json('GET', '/images/inspect', options);
        return true;
      } catch (error) {
        if (hasCode(error, 'images.notFound')) return false;
        throw error;
      }
    },
    async bring(host, image) {
      const options = { body: { image }, timeoutMs: archiveTimeoutMs };
      const client = peers.client(host);
      return (await client.json<{ isHere: boolean }>('POST', '/images/ensure', options)).isHere;
    },
    async spread(host, image) {
      const options = { body: { image }, timeoutMs: archiveTimeoutMs };
      const client = peers.client(host);
      return (await client.json<{ hosts: string[] }>('POST', '/images/spread', options)).hosts;
    },
  };
}
