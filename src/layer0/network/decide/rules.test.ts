// Are the firewall rules exactly these, and is nothing of others ever named?

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  applyText,
  areHooksFirst,
  chainName,
  chainsOf,
  type FirewallWanted,
  parseRules,
  printedChains,
  removeText,
} from './rules.ts';

const alone: FirewallWanted = {
  cluster: 'cluster-a',
  pool: '10.64.0.0/12',
  routerPorts: ['80', '443', '10000:10999'],
  extraBridges: ['docker0'],
  family: 'ipv4',
  members: [],
  remembers: true,
};
const among: FirewallWanted = { ...alone, members: ['10.1.1.2', '10.1.1.3'], remembers: false };
const chain = chainName('cluster-a');
const tag = chain.slice('GANTRY-INPUT-'.length);

const printed = `-P INPUT ACCEPT
-N ${chain}
-N DOCKER
-N DOCKER-USER
-A INPUT -i docker0 -j ${chain}
-A INPUT -i gt${tag}-+ -j ${chain}
-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
-A DOCKER-USER -j RETURN
-A ${chain} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ${chain} -j REJECT --reject-with icmp-port-unreachable
`;

/** What iptables prints after a transaction: enough of it to go on from there. */
function after(text: string): string {
  const lines = text.split('\n');
  const inserted = lines.filter((line) => line.startsWith('-I ')).reverse();
  return [
    ...lines.filter((line) => line.startsWith(':')).map((line) => `-N ${line.slice(1, -8)}`),
    '-N DOCKER-USER',
    ...inserted.map((line) => line.replace(/^-I (\S+) 1/, '-A $1')),
    ...lines.filter((line) => line.startsWith('-A ')),
    '-A DOCKER-USER -j RETURN',
  ].join('\n');
}

test('the rules of a machine that is alone are exactly these', () => {
  const nothing = parseRules('', 'cluster-a');
  assert.equal(
    applyText(nothing, alone),
    `*filter
:${chain} - [0:0]
-A ${chain} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ${chain} -d 10.64.0.0/12 -p udp -m udp --dport 53 -j ACCEPT
-A ${chain} -d 10.64.0.0/12 -p tcp -m tcp --dport 53 -j ACCEPT
-A ${chain} -p tcp -m tcp --dport 80 -j ACCEPT
-A ${chain} -p tcp -m tcp --dport 443 -j ACCEPT
-A ${chain} -p tcp -m tcp --dport 10000:10999 -j ACCEPT
-A ${chain} -d 10.64.0.0/12 -p icmp -m icmp --icmp-type 8 -j ACCEPT
-A ${chain} -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m recent --set --name gantry-${tag} --rsource
-A ${chain} -p tcp -j REJECT --reject-with tcp-reset
-A ${chain} -j REJECT --reject-with icmp-port-unreachable
-I INPUT 1 -i gt${tag}-+ -j ${chain}
-I INPUT 1 -i docker0 -j ${chain}
COMMIT
`,
  );
});

test('an answer to a connection that this machine no longer knows is refused, and is no knock', () => {
  const rules = chainsOf(alone).get(chain) ?? [];
  const remembering = rules.filter((rule) => rule.includes('-m recent --set'));
  assert.equal(remembering.length, 1);
  assert.match(remembering[0] ?? '', / --tcp-flags FIN,SYN,RST,ACK SYN /);
  assert.ok(rules.includes('-p tcp -j REJECT --reject-with tcp-reset'));
});

test('among others, only own processes send into the routes, and tunnels are for members', () => {
  const [bridges, routes] = [`gt${tag}-+`, `gr${tag}`];
  const text = applyText(parseRules(printed, 'cluster-a'), among);
  const rules = text.split('\n').filter((line) => !line.includes(` ${chain} `) || line[1] === 'I');
  assert.deepEqual(rules.slice(1, -2), [
    `:${chain} - [0:0]`,
    `:GANTRY-PEER-${tag} - [0:0]`,
    `:GANTRY-FORWARD-${tag} - [0:0]`,
    `:GANTRY-TUNNEL-${tag} - [0:0]`,
    `-A GANTRY-PEER-${tag} -p udp -m udp --dport 4789 -j DROP`,
    `-A GANTRY-PEER-${tag} -i ${bridges} -j ${chain}`,
    `-A GANTRY-PEER-${tag} -i docker0 -j ${chain}`,
    `-A GANTRY-FORWARD-${tag} -i ${bridges} -o ${bridges} -j RETURN`,
    `-A GANTRY-FORWARD-${tag} -i ${routes} -o ${bridges} -j ACCEPT`,
    `-A GANTRY-FORWARD-${tag} -i ${routes} -j DROP`,
    `-A GANTRY-FORWARD-${tag} -i ${bridges} -o ${routes} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
    `-A GANTRY-FORWARD-${tag} -o ${routes} -j DROP`,
    `-A GANTRY-FORWARD-${tag} -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN`,
    `-A GANTRY-FORWARD-${tag} -d 10.1.1.2/32 -j GANTRY-PEER-${tag}`,
    `-A GANTRY-FORWARD-${tag} -d 10.1.1.3/32 -j GANTRY-PEER-${tag}`,
    `-A GANTRY-TUNNEL-${tag} -s 10.1.1.2/32 -j RETURN`,
    `-A GANTRY-TUNNEL-${tag} -s 10.1.1.3/32 -j RETURN`,
    `-A GANTRY-TUNNEL-${tag} -j DROP`,
    `-D INPUT -i docker0 -j ${chain}`,
    `-D INPUT -i gt${tag}-+ -j ${chain}`,
    `-I INPUT 1 -i gt${tag}-+ -j ${chain}`,
    `-I INPUT 1 -i docker0 -j ${chain}`,
    `-I INPUT 1 -i ${routes} -j ${chain}`,
    `-I INPUT 1 -p udp -m udp --dport 4789 -j GANTRY-TUNNEL-${tag}`,
    `-I DOCKER-USER 1 -j GANTRY-FORWARD-${tag}`,
  ]);
});

test('a machine that is alone again has the rules of one that always was', () => {
  const joined = parseRules(after(applyText(parseRules(printed, 'cluster-a'), among)), 'cluster-a');
  assert.ok(areHooksFirst(joined, among) && !areHooksFirst(joined, alone));
  const text = applyText(joined, alone);
  for (const name of ['PEER', 'FORWARD', 'TUNNEL'])
    assert.match(text, new RegExp(`^-X GANTRY-${name}-${tag}$`, 'm'));
  assert.match(text, new RegExp(`^-D DOCKER-USER -j GANTRY-FORWARD-${tag}$`, 'm'));
});

test('hooks at the top are left alone, and moved there from anywhere else', () => {
  const state = parseRules(printed, 'cluster-a');
  assert.equal(state.chains.get(chain)?.length, 2);
  assert.ok(areHooksFirst(state, alone));
  const input = state.hooks.get('INPUT') ?? [];
  const withInput = (rules: string[]) => ({ ...state, hooks: new Map([['INPUT', rules]]) });
  const below = withInput([...input.slice(2), ...input.slice(0, 2)]);
  assert.ok(!areHooksFirst(below, alone));
  assert.ok(!areHooksFirst(withInput([...input, ...input]), alone));
  assert.match(applyText(below, alone), new RegExp(`-D INPUT -i docker0 -j ${chain}`));
});

test('where Docker has no chain for users, FORWARD has the rule', () => {
  const state = parseRules('-P INPUT ACCEPT\n-P FORWARD ACCEPT\n', 'cluster-a');
  assert.match(applyText(state, among), new RegExp(`^-I FORWARD 1 -j GANTRY-FORWARD-${tag}$`, 'm'));
});

test('a rule that somebody changed shows', () => {
  const state = parseRules(printed, 'cluster-a');
  const changed = parseRules(`${printed}-A ${chain} -j ACCEPT\n`, 'cluster-a');
  assert.notEqual(printedChains(state), printedChains(changed));
});

test("removing names our rules and nobody else's", () => {
  const state = parseRules(printed, 'cluster-a');
  assert.equal(
    removeText(state, 'cluster-a'),
    `*filter
-D INPUT -i docker0 -j ${chain}
-D INPUT -i gt${tag}-+ -j ${chain}
-F ${chain}
-X ${chain}
COMMIT
`,
  );
  assert.equal(removeText(parseRules(printed, 'cluster-b'), 'cluster-b'), undefined);
});
