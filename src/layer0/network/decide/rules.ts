// The firewall as text: what our chain must hold, and what to hand to iptables-restore so that it does.
// Only rules that name our chain are ever written or removed.

import { bridgePrefix, clusterTag } from './names.ts';

export interface FirewallConfig {
  cluster: string;
  /** CIDR of all app networks: DNS and echo are answered on its addresses only. */
  pool: string;
  /** TCP ports of the router, or ranges `10000:10999`: answered on every address of the machine. */
  routerPorts: readonly string[];
  /** Other bridges whose containers are not trusted either, by interface name. */
  extraBridges: readonly string[];
}

export type Family = 'ipv4' | 'ipv6';

export function chainName(cluster: string): string {
  return `GANTRY-INPUT-${clusterTag(cluster)}`;
}

/** The rules of our chain, in order, as iptables arguments. */
export function chainRules(config: FirewallConfig, family: Family): string[] {
  // Containers have no IPv6 address: what comes over it from their bridges is no traffic of theirs.
  if (family === 'ipv6') return ['-j DROP'];
  const { pool, routerPorts } = config;
  return [
    '-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    `-d ${pool} -p udp -m udp --dport 53 -j ACCEPT`,
    `-d ${pool} -p tcp -m tcp --dport 53 -j ACCEPT`,
    ...routerPorts.map((ports) => `-p tcp -m tcp --dport ${ports} -j ACCEPT`),
    ...(family === 'ipv4' ? [`-d ${pool} -p icmp -m icmp --icmp-type 8 -j ACCEPT`] : []),
    '-p tcp -j REJECT --reject-with tcp-reset',
    '-j REJECT --reject-with icmp-port-unreachable',
  ];
}

/** The rules of INPUT that send our bridges' packets to our chain. `+` matches every bridge of the cluster. */
export function hookRules(config: FirewallConfig): string[] {
  const bridges = [`${bridgePrefix(config.cluster)}+`, ...config.extraBridges];
  return bridges.map((bridge) => `-i ${bridge} -j ${chainName(config.cluster)}`);
}

export interface FirewallState {
  /** Lines of our chain, as iptables prints them; undefined when there is no such chain. */
  chain: string[] | undefined;
  /** Rules of INPUT in order, without `-A INPUT `. */
  input: string[];
}

/** What `iptables -S` prints of the filter table. */
export function parseRules(printed: string, cluster: string): FirewallState {
  const name = chainName(cluster);
  const lines = printed.split('\n').map((line) => line.trim());
  const rulesOf = (chain: string) =>
    lines.flatMap((line) =>
      line.startsWith(`-A ${chain} `) ? line.slice(`-A ${chain} `.length) : [],
    );
  const exists = lines.includes(`-N ${name}`);
  return { chain: exists ? rulesOf(name) : undefined, input: rulesOf('INPUT') };
}

/** Our hooks come first: a rule before them could let through what the chain refuses. */
export function areHooksFirst({ input }: FirewallState, config: FirewallConfig): boolean {
  const hooks = hookRules(config);
  const first = input.slice(0, hooks.length);
  const ours = input.filter((rule) => isOurs(rule, config.cluster));
  return ours.length === hooks.length && hooks.every((hook) => first.includes(hook));
}

/** One transaction: the chain filled anew and the hooks at the top. Never a moment without rules. */
export function applyText(state: FirewallState, config: FirewallConfig, family: Family): string {
  const name = chainName(config.cluster);
  return transaction([
    `:${name} - [0:0]`,
    ...chainRules(config, family).map((rule) => `-A ${name} ${rule}`),
    ...unhook(state, config.cluster),
    ...hookRules(config).map((rule) => `-I INPUT 1 ${rule}`),
  ]);
}

/** Takes out everything of ours; undefined when there is nothing. */
export function removeText(state: FirewallState, cluster: string): string | undefined {
  const lines = unhook(state, cluster);
  if (state.chain) lines.push(`-F ${chainName(cluster)}`, `-X ${chainName(cluster)}`);
  return lines.length > 0 ? transaction(lines) : undefined;
}

function unhook({ input }: FirewallState, cluster: string): string[] {
  return input.filter((rule) => isOurs(rule, cluster)).map((rule) => `-D INPUT ${rule}`);
}

function isOurs(rule: string, cluster: string): boolean {
  return rule.endsWith(` -j ${chainName(cluster)}`);
}

function transaction(lines: string[]): string {
  return ['*filter', ...lines, 'COMMIT', ''].join('\n');
}
