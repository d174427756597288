// Are the firewall rules exactly these, and is nothing of others ever named?

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  applyText,
  areHooksFirst,
  chainName,
  type FirewallConfig,
  parseRules,
  removeText,
} from './rules.ts';

const config: FirewallConfig = {
  cluster: 'cluster-a',
  pool: '10.64.0.0/12',
  routerPorts: ['80', '443', '10000:10999'],
  extraBridges: ['docker0'],
};
const chain = chainName('cluster-a');
const tag = chain.slice('GANTRY-INPUT-'.length);

const printed = `-P INPUT ACCEPT
-N ${chain}
-A INPUT -i docker0 -j ${chain}
-A INPUT -i gt${tag}-+ -j ${chain}
-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
-A ${chain} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ${chain} -j REJECT --reject-with icmp-port-unreachable
`;

test('the rules are exactly these', () => {
  const nothing = { chain: undefined, input: [] };
  assert.equal(
    applyText(nothing, config, 'ipv4'),
    `*filter
:${chain} - [0:0]
-A ${chain} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ${chain} -d 10.64.0.0/12 -p udp -m udp --dport 53 -j ACCEPT
-A ${chain} -d 10.64.0.0/12 -p tcp -m tcp --dport 53 -j ACCEPT
-A ${chain} -p tcp -m tcp --dport 80 -j ACCEPT
-A ${chain} -p tcp -m tcp --dport 443 -j ACCEPT
-A ${chain} -p tcp -m tcp --dport 10000:10999 -j ACCEPT
-A ${chain} -d 10.64.0.0/12 -p icmp -m icmp --icmp-type 8 -j ACCEPT
-A ${chain} -p tcp -j REJECT --reject-with tcp-reset
-A ${chain} -j REJECT --reject-with icmp-port-unreachable
-I INPUT 1 -i gt${tag}-+ -j ${chain}
-I INPUT 1 -i docker0 -j ${chain}
COMMIT
`,
  );
});

test('hooks at the top are left alone, and moved there from anywhere else', () => {
  const state = parseRules(printed, 'cluster-a');
  assert.equal(state.chain?.length, 2);
  assert.ok(areHooksFirst(state, config));
  const below = { ...state, input: [...state.input.slice(2), ...state.input.slice(0, 2)] };
  assert.ok(!areHooksFirst(below, config));
  assert.ok(!areHooksFirst({ ...state, input: [...state.input, ...state.input] }, config));
  assert.match(applyText(below, config, 'ipv4'), new RegExp(`-D INPUT -i docker0 -j ${chain}`));
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
