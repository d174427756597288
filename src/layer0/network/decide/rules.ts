// The firewall as text: what our chains must hold, and what to hand to iptables-restore so that they do.
// Only rules that name our chains are ever written or removed.

import { bridgePrefix, clusterTag, routesName } from './names.ts';
import { vxlanPort } from './overlay.ts';

export interface FirewallConfig {
  cluster: string;
  /** CIDR of all app networks: DNS and echo are answered on its addresses only. */
  pool: string;
  /** TCP ports of the router, or ranges `10000:10999`: answered on every address of the machine. */
  routerPorts: readonly string[];
  /** Other bridges whose containers are not trusted either, by interface name. */
  extraBridges: readonly string[];
}

export interface FirewallWanted extends FirewallConfig {
  family: Family;
  /** Addresses of the other machines of the cluster; none on one that is alone. */
  members: readonly string[];
  /** Whether this machine's kernel can keep a list of addresses (`-m recent`). */
  remembers: boolean;
}

export type Family = 'ipv4' | 'ipv6';

const userChain = 'DOCKER-USER';
/** Chains of others that may have rules of ours in them. */
const calledFrom = ['INPUT', 'FORWARD', userChain];

/** What a container may reach on this machine and, with the same words, on another one. */
export function chainName(cluster: string): string {
  return `GANTRY-INPUT-${clusterTag(cluster)}`;
}

/** Who is refused, by address: a file of this name in /proc/net/xt_recent. */
export function refusedList(cluster: string): string {
  return `gantry-${clusterTag(cluster)}`;
}

const forwardChain = (cluster: string) => `GANTRY-FORWARD-${clusterTag(cluster)}`;
const peerChain = (cluster: string) => `GANTRY-PEER-${clusterTag(cluster)}`;
const tunnelChain = (cluster: string) => `GANTRY-TUNNEL-${clusterTag(cluster)}`;
const isChain = (name: string, cluster: string) =>
  name.startsWith('GANTRY-') && name.endsWith(`-${clusterTag(cluster)}`);

/** Our chains and their rules, in order, as iptables arguments. */
export function chainsOf(wanted: FirewallWanted): ReadonlyMap<string, readonly string[]> {
  const { cluster, members, family } = wanted;
  const chains = new Map([[chainName(cluster), inputRules(wanted)]]);
  // Machines reach each other over IPv4 only.
  if (family === 'ipv6' || members.length === 0) return chains;
  chains.set(peerChain(cluster), peerRules(wanted));
  chains.set(forwardChain(cluster), forwardRules(wanted));
  chains.set(tunnelChain(cluster), [
    ...members.map((member) => `-s ${member}/32 -j RETURN`),
    '-j DROP',
  ]);
  return chains;
}

function inputRules({ cluster, pool, routerPorts, family, remembers }: FirewallWanted): string[] {
  // Containers have no IPv6 address: what comes over it from their bridges is no traffic of theirs.
  if (family === 'ipv6') return ['-j DROP'];
  // Who opens a connection. After a cut or a reboot answers come to connections that are known no more: they are refused, and no knock.
  const knock = '-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN';
  return [
    '-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    `-d ${pool} -p udp -m udp --dport 53 -j ACCEPT`,
    `-d ${pool} -p tcp -m tcp --dport 53 -j ACCEPT`,
    ...routerPorts.map((ports) => `-p tcp -m tcp --dport ${ports} -j ACCEPT`),
    `-d ${pool} -p icmp -m icmp --icmp-type 8 -j ACCEPT`,
    ...(remembers ? [`${knock} -m recent --set --name ${refusedList(cluster)} --rsource`] : []),
    '-p tcp -j REJECT --reject-with tcp-reset',
    '-j REJECT --reject-with icmp-port-unreachable',
  ];
}

/**
 * Only this machine's own processes send into the routes, and what comes out of them is for containers, and nothing else:
 * otherwise whoever has this machine as a gateway would be in every app's network.
 */
function forwardRules({ cluster, members }: FirewallWanted): string[] {
  const [bridges, routes] = [`${bridgePrefix(cluster)}+`, routesName(cluster)];
  return [
    // Which of them may talk says the engine.
    `-i ${bridges} -o ${bridges} -j RETURN`,
    `-i ${routes} -o ${bridges} -j ACCEPT`,
    `-i ${routes} -j DROP`,
    `-i ${bridges} -o ${routes} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
    `-o ${routes} -j DROP`,
    '-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN',
    ...members.map((member) => `-d ${member}/32 -j ${peerChain(cluster)}`),
  ];
}

/** To another machine: a frame that a container wraps itself would count as one of ours there, and in any network. */
function peerRules({ cluster, extraBridges }: FirewallWanted): string[] {
  const bridges = [`${bridgePrefix(cluster)}+`, ...extraBridges];
  return [
    `-p udp -m udp --dport ${vxlanPort} -j DROP`,
    ...bridges.map((bridge) => `-i ${bridge} -j ${chainName(cluster)}`),
  ];
}

interface Hook {
  chain: string;
  rule: string;
}

/** The rules of others' chains that call ours. `+` matches every bridge of the cluster. */
export function hooksOf(wanted: FirewallWanted, state: FirewallState): Hook[] {
  const { cluster, extraBridges, family, members } = wanted;
  const bridges = [`${bridgePrefix(cluster)}+`, ...extraBridges];
  const hooks = bridges.map((bridge) => ({
    chain: 'INPUT',
    rule: `-i ${bridge} -j ${chainName(cluster)}`,
  }));
  if (family === 'ipv6' || members.length === 0) return hooks;
  // Docker puts its own first in FORWARD whenever it starts, and leaves the first of them to others.
  const forward = state.hooks.has(userChain) ? userChain : 'FORWARD';
  return [
    ...hooks,
    { chain: 'INPUT', rule: `-i ${routesName(cluster)} -j ${chainName(cluster)}` },
    { chain: 'INPUT', rule: `-p udp -m udp --dport ${vxlanPort} -j ${tunnelChain(cluster)}` },
    { chain: forward, rule: `-j ${forwardChain(cluster)}` },
  ];
}

export interface FirewallState {
  /** Rules of our chains as iptables prints them, by name. */
  chains: ReadonlyMap<string, readonly string[]>;
  /** Rules in order of those chains of others that have or may have ours in them. */
  hooks: ReadonlyMap<string, readonly string[]>;
}

/** What `iptables -S` prints of the filter table. */
export function parseRules(printed: string, cluster: string): FirewallState {
  const chains = new Map<string, string[]>();
  const hooks = new Map<string, string[]>();
  for (const line of printed.split('\n')) {
    const [verb, chain = '', ...rest] = line.trim().split(' ');
    const map = isChain(chain, cluster) ? chains : hooks;
    if (verb === '-N' || verb === '-P') map.set(chain, map.get(chain) ?? []);
    else if (verb === '-A') map.set(chain, [...(map.get(chain) ?? []), rest.join(' ')]);
  }
  for (const name of hooks.keys()) if (!calledFrom.includes(name)) hooks.delete(name);
  return { chains, hooks };
}

/** What is printed of our chains, as one text: differs when anybody changed a rule of them. */
export function printedChains({ chains }: FirewallState): string {
  const lines = [...chains].flatMap(([name, rules]) => [name, ...rules]);
  return lines.sort().join('\n');
}

/** Our hooks come first, and nowhere else: a rule before them could let through what the chain refuses. */
export function areHooksFirst(state: FirewallState, wanted: FirewallWanted): boolean {
  const wantedHooks = hooksOf(wanted, state);
  return calledFrom.every((chain) => {
    const rules = state.hooks.get(chain) ?? [];
    const mine = wantedHooks.filter((hook) => hook.chain === chain).map(({ rule }) => rule);
    const first = rules.slice(0, mine.length);
    const ours = rules.filter((rule) => isOurs(rule, wanted.cluster));
    return ours.length === mine.length && mine.every((rule) => first.includes(rule));
  });
}

/** One transaction: the chains filled anew and the hooks at the top. Never a moment without rules. */
export function applyText(state: FirewallState, wanted: FirewallWanted): string {
  const chains = chainsOf(wanted);
  const gone = [...state.chains.keys()].filter((name) => !chains.has(name));
  return transaction([
    ...[...chains.keys(), ...gone].map((name) => `:${name} - [0:0]`),
    ...[...chains].flatMap(([name, rules]) => rules.map((rule) => `-A ${name} ${rule}`)),
    ...unhook(state, wanted.cluster),
    ...hooksOf(wanted, state).map(({ chain, rule }) => `-I ${chain} 1 ${rule}`),
    ...gone.map((name) => `-X ${name}`),
  ]);
}

/** Takes out everything of ours; undefined when there is nothing. */
export function removeText(state: FirewallState, cluster: string): string | undefined {
  const names = [...state.chains.keys()];
  const lines = [
    ...unhook(state, cluster),
    // All empty before the first goes: they call each other.
    ...names.map((name) => `-F ${name}`),
    ...names.map((name) => `-X ${name}`),
  ];
  return lines.length > 0 ? transaction(lines) : undefined;
}

function unhook({ hooks }: FirewallState, cluster: string): string[] {
  return [...hooks].flatMap(([chain, rules]) =>
    rules.filter((rule) => isOurs(rule, cluster)).map((rule) => `-D ${chain} ${rule}`),
  );
}

function isOurs(rule: string, cluster: string): boolean {
  const target = /(?:^| )-j (\S+)$/.exec(rule)?.[1];
  return target !== undefined && isChain(target, cluster);
}

function transaction(lines: string[]): string {
  return ['*filter', ...lines, 'COMMIT', ''].join('\n');
}
