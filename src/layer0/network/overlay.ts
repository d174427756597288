// The tunnels between members, kept as the store says: looks at the kernel, decides, and tells `ip` and `bridge` what differs.

import { parser, Type } from '#core/schema';
import { clusterTag } from './decide/names.ts';
import {
  type Device,
  type OverlaySeen,
  type OverlayWanted,
  planOverlay,
  tunnelPrefix,
} from './decide/overlay.ts';
import { networkErrors } from './errors.ts';
import { type RunCommand, runCommand } from './run-command.ts';

export interface Overlay {
  /** Makes the kernel agree; cheap when it does. network.overlay when it cannot. */
  ensure(wanted: OverlayWanted): Promise<void>;
}

export function createOverlay(run: RunCommand = runCommand): Overlay {
  // One at a time: what is seen must still be so when it is acted on.
  let last = Promise.resolve();
  return {
    ensure(wanted) {
      const mine = last.then(() => ensure(run, wanted));
      last = mine.catch(() => undefined);
      return mine;
    },
  };
}

/** A container that begins or ends meanwhile changes entries too: what fails is looked at again before it counts. */
async function ensure(run: RunCommand, wanted: OverlayWanted): Promise<void> {
  let words: unknown;
  for (let round = 0; round < maxRounds; round++) {
    const { ip, bridge } = planOverlay(wanted, await look(run, wanted.cluster));
    if (ip.length + bridge.length === 0) return;
    words = undefined;
    for (const [program, lines] of [
      ['ip', ip],
      ['bridge', bridge],
    ] as const) {
      if (lines.length === 0) continue;
      await run(program, ['-force', '-batch', '-'], `${lines.join('\n')}\n`).catch((error) => {
        words ??= error instanceof Error ? error.message : error;
      });
    }
    if (words === undefined) return;
  }
  throw networkErrors.overlay(`the tunnels to other machines are not as they should be: ${words}`);
}

const maxRounds = 3;

const linksParser = parser(
  Type.Array(
    Type.Object({
      ifname: Type.Optional(Type.String()),
      address: Type.Optional(Type.String()),
      mtu: Type.Optional(Type.Integer()),
      master: Type.Optional(Type.String()),
      flags: Type.Optional(Type.Array(Type.String())),
      linkinfo: Type.Optional(
        Type.Object({
          info_data: Type.Optional(
            Type.Object({
              id: Type.Optional(Type.Integer()),
              local: Type.Optional(Type.String()),
            }),
          ),
        }),
      ),
    }),
  ),
);
const fdbParser = parser(
  Type.Array(
    Type.Object({
      mac: Type.Optional(Type.String()),
      ifname: Type.Optional(Type.String()),
      dst: Type.Optional(Type.String()),
      master: Type.Optional(Type.String()),
      state: Type.Optional(Type.String()),
      flags: Type.Optional(Type.Array(Type.String())),
    }),
  ),
);
const neighboursParser = parser(
  Type.Array(
    Type.Object({
      dst: Type.Optional(Type.String()),
      dev: Type.Optional(Type.String()),
      lladdr: Type.Optional(Type.String()),
    }),
  ),
);

async function look(run: RunCommand, cluster: string): Promise<OverlaySeen> {
  const ask = async (file: string, ...args: string[]): Promise<unknown> =>
    JSON.parse((await run(file, ['-j', ...args])) || '[]');
  const [tunnels, bridges, fdb, neighbours] = await Promise.all([
    ask('ip', '-d', 'link', 'show', 'type', 'vxlan'),
    ask('ip', 'link', 'show', 'type', 'bridge'),
    ask('bridge', 'fdb', 'show'),
    ask('ip', 'neigh', 'show', 'nud', 'permanent'),
  ]);
  const isOurs = (name: string) => name.startsWith(tunnelPrefix(cluster));
  const devices = new Map<string, Device>();
  for (const link of linksParser.parse(tunnels, 'ip link')) {
    const { ifname = '', mtu = 0, master: bridge, flags = [], linkinfo } = link;
    const { id: vni = 0, local = '' } = linkinfo?.info_data ?? {};
    if (isOurs(ifname))
      devices.set(ifname, { vni, local, mtu, bridge, isUp: flags.includes('UP') });
  }
  const seen = {
    devices,
    bridges: new Map(
      linksParser
        .parse(bridges, 'ip link')
        .map(({ ifname = '', address = '' }) => [ifname, address] as const)
        .filter(([name]) => name.startsWith(`gt${clusterTag(cluster)}-`)),
    ),
    tunnels: new Map<string, Set<string>>(),
    ports: new Map<string, Set<string>>(),
    neighbours: new Map<string, Set<string>>(),
  };
  const add = (map: Map<string, Set<string>>, name: string, entry: string) => {
    if (isOurs(name)) map.set(name, (map.get(name) ?? new Set()).add(entry));
  };
  for (const { mac = '', ifname = '', dst, master, state } of fdbParser.parse(fdb, 'bridge fdb')) {
    if (dst !== undefined) add(seen.tunnels, ifname, `${mac} ${dst}`);
    else if (master !== undefined && state === 'static') add(seen.ports, ifname, mac);
  }
  for (const { dst = '', dev = '', lladdr = '' } of neighboursParser.parse(neighbours, 'ip neigh'))
    add(seen.neighbours, dev, `${dst} ${lladdr}`);
  return seen;
}
