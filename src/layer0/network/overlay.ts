// The tunnels between members, kept as the store says: looks at the kernel, decides, and tells `ip` and `bridge` what differs.

import { parser, Type } from '#core/schema';
import { bridgePrefix, routesName } from './decide/names.ts';
import {
  type Device,
  type OverlayCommands,
  type OverlaySeen,
  type OverlayWanted,
  tunnelPrefix,
} from './decide/overlay.ts';
import { planAll, planEntries } from './decide/plan-overlay.ts';
import { routeProtocol } from './decide/routes.ts';
import { networkErrors } from './errors.ts';
import { type RunCommand, runCommand } from './run-command.ts';

export interface Overlay {
  /** Looks at the kernel and makes it agree. network.overlay when it cannot. */
  ensure(wanted: OverlayWanted): Promise<void>;
  /**
   * As `ensure`, without a look where only entries differ from what was last put in place: costs nothing when none does.
   * What was changed behind our back is found by the next `ensure`.
   */
  follow(wanted: OverlayWanted): Promise<void>;
  /** What would have to be done so that the kernel agrees, as commands; none when it does. Nothing is changed. */
  differences(wanted: OverlayWanted): Promise<string[]>;
  /** Ends this machine's own TCP connections to an address, at once; answers how many. None where its kernel knows no such thing. */
  endConnections(ip: string): Promise<number>;
}

export function createOverlay(run: RunCommand = runCommand): Overlay {
  // One at a time: what is seen must still be so when it is acted on.
  let last = Promise.resolve();
  /** What the kernel agrees with; undefined when that is not known. */
  let inPlace: OverlayWanted | undefined;
  const inTurn = (act: () => Promise<void>) => {
    const mine = last.then(act);
    last = mine.catch(() => undefined);
    return mine;
  };
  const look = async (wanted: OverlayWanted) => {
    inPlace = undefined;
    if (await ensure(run, wanted)) inPlace = wanted;
  };
  return {
    ensure: (wanted) => inTurn(() => look(wanted)),
    follow: (wanted) =>
      inTurn(async () => {
        const commands = inPlace && planEntries(wanted, inPlace);
        inPlace = undefined;
        if (!commands || (await tell(run, commands)) !== undefined) return look(wanted);
        inPlace = wanted;
      }),
    async differences(wanted) {
      await last;
      const { ip, bridge } = (await compare(run, wanted)).commands;
      return [...ip.map((line) => `ip ${line}`), ...bridge.map((line) => `bridge ${line}`)];
    },
    async endConnections(ip) {
      const ended = await run('ss', ['--kill', '--no-header', '--tcp', '--ipv4', 'dst', ip]);
      return ended.split('\n').filter((line) => line !== '').length;
    },
  };
}

/** Takes every tunnel of a cluster off this machine: its daemon is gone. A machine without iproute2 has none. */
export async function removeOverlay(cluster: string, run: RunCommand = runCommand): Promise<void> {
  if (await run('ip', ['-V']).catch(() => ''))
    await createOverlay(run).ensure({ cluster, local: '', mtu: 0, networks: [] });
}

/**
 * A container that begins or ends meanwhile changes entries too: what fails is looked at again before it counts. Answers
 * whether all that is wanted is there: what the engine has no bridge for yet is not.
 */
async function ensure(run: RunCommand, wanted: OverlayWanted): Promise<boolean> {
  let words: string | undefined;
  for (let round = 0; round < maxRounds; round++) {
    const { seen, commands } = await compare(run, wanted);
    words = await tell(run, commands);
    if (words === undefined) return wanted.networks.every(({ bridge }) => seen.bridges.has(bridge));
  }
  throw networkErrors.overlay(`the tunnels to other machines are not as they should be: ${words}`);
}

/** One shell runs the programs: this process stands still while it starts one. Answers why not all of it was done. */
async function tell(run: RunCommand, { ip, bridge }: OverlayCommands): Promise<string | undefined> {
  const batches = Object.entries({ ip, bridge }).filter(([, lines]) => lines.length > 0);
  if (batches.length === 0) return undefined;
  const strange = [...ip, ...bridge].find((line) => !plainLine.test(line));
  if (strange !== undefined) return `${JSON.stringify(strange)} is no line for ip or bridge`;
  const script = batches.map(
    ([program, lines]) =>
      `${program} -force -batch - <<'END' || failed=1\n${lines.join('\n')}\nEND\n`,
  );
  return run('sh', ['-s'], `failed=0\n${script.join('')}exit $failed\n`).then(
    () => undefined,
    (error: Error) => error.message,
  );
}

/** Words of it come from records: none may mean anything to a shell. */
const plainLine = /^[a-z]+ [\w .:/-]+$/;
const maxRounds = 3;

async function compare(run: RunCommand, wanted: OverlayWanted) {
  const seen = await look(run, wanted.cluster);
  return { seen, commands: planAll(wanted, seen) };
}

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

const addressesParser = parser(
  Type.Array(
    Type.Object({
      ifname: Type.Optional(Type.String()),
      addr_info: Type.Optional(
        Type.Array(
          Type.Object({
            local: Type.Optional(Type.String()),
            prefixlen: Type.Optional(Type.Integer()),
          }),
        ),
      ),
    }),
  ),
);
const routesParser = parser(
  Type.Array(
    Type.Object({
      dst: Type.Optional(Type.String()),
      gateway: Type.Optional(Type.String()),
      dev: Type.Optional(Type.String()),
    }),
  ),
);

type Sets = Map<string, Set<string>>;

/** What is printed for a look, in this order, with a line of its own between. */
const looks = [
  'ip -j -d link show type vxlan',
  'ip -j link show type bridge',
  'bridge -j fdb show',
  'ip -j neigh show nud permanent',
  'ip -j -4 addr show type vxlan',
  `ip -j -4 route show proto ${routeProtocol}`,
];

async function look(run: RunCommand, cluster: string): Promise<OverlaySeen> {
  const printed = await run('sh', ['-c', `set -e; ${looks.join('; echo; echo =; ')}`]);
  const [links, bridges, fdb, neighbours, addresses, routes] = printed
    .split('\n=\n')
    .map((text): unknown => JSON.parse(text.trim() || '[]'));
  const mesh = routesName(cluster);
  const isOurs = (name: string) => name.startsWith(tunnelPrefix(cluster)) || name === mesh;
  const entries = entriesSeen({ fdb, neighbours }, isOurs);
  const devices = devicesSeen(links);
  const ofMesh = (sets: Sets) => sets.get(mesh) ?? new Set<string>();
  const isTunnel = ([name]: [string, unknown]) => isOurs(name) && name !== mesh;
  return {
    devices: new Map([...devices].filter(isTunnel)),
    bridges: new Map(
      linksParser
        .parse(bridges, 'ip link')
        .map(({ ifname = '', address = '' }) => [ifname, address] as const)
        .filter(([name]) => name.startsWith(bridgePrefix(cluster))),
    ),
    ...entries,
    routes: {
      device: devices.get(mesh),
      addresses: addressesSeen(addresses, mesh),
      tunnels: ofMesh(entries.tunnels),
      neighbours: ofMesh(entries.neighbours),
      routes: new Set(
        routesParser
          .parse(routes, 'ip route')
          .filter(({ dev }) => dev === mesh)
          .map(({ dst = '', gateway = '' }) => `${dst} ${gateway}`),
      ),
    },
  };
}

function devicesSeen(links: unknown) {
  const devices = new Map<string, Device & { mac: string }>();
  for (const link of linksParser.parse(links, 'ip link')) {
    const { ifname = '', address: mac = '', mtu = 0, master: bridge, flags = [], linkinfo } = link;
    const { id: vni = 0, local = '' } = linkinfo?.info_data ?? {};
    devices.set(ifname, { vni, local, mtu, bridge, isUp: flags.includes('UP'), mac });
  }
  return devices;
}

function addressesSeen(addresses: unknown, mesh: string): Set<string> {
  const found = addressesParser.parse(addresses, 'ip addr').find(({ ifname }) => ifname === mesh);
  const all = found?.addr_info ?? [];
  return new Set(all.map(({ local = '', prefixlen = 32 }) => `${local}/${prefixlen}`));
}

function entriesSeen(
  printed: { fdb: unknown; neighbours: unknown },
  isOurs: (name: string) => boolean,
) {
  const [tunnels, ports, neighbours]: [Sets, Sets, Sets] = [new Map(), new Map(), new Map()];
  const add = (sets: Sets, name: string, entry: string) => {
    if (isOurs(name)) sets.set(name, (sets.get(name) ?? new Set()).add(entry));
  };
  const rows = fdbParser.parse(printed.fdb, 'bridge fdb');
  for (const { mac = '', ifname = '', dst, master, state } of rows) {
    if (dst !== undefined) add(tunnels, ifname, `${mac} ${dst}`);
    else if (master !== undefined && state === 'static') add(ports, ifname, mac);
  }
  const known = neighboursParser.parse(printed.neighbours, 'ip neigh');
  for (const { dst = '', dev = '', lladdr = '' } of known) add(neighbours, dev, `${dst} ${lladdr}`);
  return { tunnels, ports, neighbours };
}
