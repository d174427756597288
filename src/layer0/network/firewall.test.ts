// Does the firewall find the right iptables, come back when it was harmed, and leave without a trace?

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLog } from '#core/log';
import { chainName, type FirewallConfig } from './decide/rules.ts';
import { createFirewall, type FirewallMachine, removeFirewall } from './firewall.ts';

const config: FirewallConfig = {
  cluster: 'cluster-a',
  pool: '10.64.0.0/12',
  routerPorts: ['80'],
  extraBridges: [],
};

/** Enough of iptables to keep rules: one filter table per program. */
function aMachine(programs: Record<string, string[]>): {
  machine: FirewallMachine;
  restores: string[];
} {
  const restores: string[] = [];
  const run: FirewallMachine['run'] = async (file, _args, input) => {
    const rules = programs[file.replace('-restore', '')];
    if (!rules) throw new Error(`${file}: not found`);
    if (input === undefined) return `${rules.join('\n')}\n`;
    restores.push(file);
    for (const line of input.split('\n')) change(rules, line);
    return '';
  };
  const legacyTables = async () => ('iptables-legacy' in programs ? 'filter\n' : '');
  const recent = async () => '';
  return { machine: { run, legacyTables, recent }, restores };
}

function change(rules: string[], line: string): void {
  const drop = (isGone: (rule: string) => boolean) =>
    rules.splice(0, rules.length, ...rules.filter((rule) => !isGone(rule)));
  const [verb = '', chain = ''] = line.split(' ');
  if (line.startsWith(':')) {
    const name = verb.slice(1);
    drop((rule) => rule === `-N ${name}` || rule.startsWith(`-A ${name} `));
    rules.push(`-N ${name}`);
  } else if (verb === '-A') rules.push(line);
  else if (verb === '-I') rules.unshift(line.replace(`-I ${chain} 1`, `-A ${chain}`));
  else if (verb === '-D') drop((rule) => rule === line.replace('-D', '-A'));
  else if (verb === '-F') drop((rule) => rule.startsWith(`-A ${chain} `));
  else if (verb === '-X') drop((rule) => rule === `-N ${chain}`);
}

test("the flavour that holds Docker's chains is used, and rules are given once", async () => {
  const legacy = ['-P INPUT ACCEPT', '-N DOCKER'];
  const { machine, restores } = aMachine({
    'iptables-nft': ['-P INPUT ACCEPT'],
    'iptables-legacy': legacy,
    'ip6tables-legacy': ['-P INPUT ACCEPT'],
  });
  const firewall = createFirewall({ log: silentLog, machine }, config);
  await firewall.ensure();
  await firewall.ensure();
  assert.deepEqual(restores, ['iptables-legacy-restore', 'ip6tables-legacy-restore']);
  assert.ok(legacy.includes(`-A ${chainName('cluster-a')} -p tcp -m tcp --dport 80 -j ACCEPT`));
});

test('what was taken out or changed by others comes back', async () => {
  const rules = ['-P INPUT ACCEPT', '-N DOCKER', '-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT'];
  const { machine, restores } = aMachine({ 'iptables-nft': rules });
  const firewall = createFirewall({ log: silentLog, machine }, config);
  await firewall.ensure();
  const good = [...rules];
  for (const harm of [
    () => rules.splice(0, 1),
    () => rules.push(rules.shift() ?? ''),
    () => rules.splice(rules.length - 1, 1),
    () => rules.push(`-A ${chainName('cluster-a')} -j ACCEPT`),
    () => rules.splice(0, rules.length, '-P INPUT ACCEPT', '-N DOCKER'),
  ]) {
    harm();
    await firewall.ensure();
    assert.deepEqual(new Set(rules.slice(0, 1)), new Set(good.slice(0, 1)));
    assert.equal(
      rules.filter((rule) => rule.includes('GANTRY')).length,
      good.filter((rule) => rule.includes('GANTRY')).length,
    );
  }
  assert.equal(restores.length, 6);
});

test('removing leaves what others wrote', async () => {
  const rules = ['-P INPUT ACCEPT', '-N DOCKER', '-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT'];
  const { machine } = aMachine({ 'iptables-nft': rules });
  const before = [...rules];
  await createFirewall({ log: silentLog, machine }, config).ensure();
  await removeFirewall('cluster-a', machine);
  await removeFirewall('cluster-a', machine);
  assert.deepEqual(rules, before);
});

test('a machine without iptables is told so', async () => {
  const { machine } = aMachine({});
  const firewall = createFirewall({ log: silentLog, machine }, config);
  await assert.rejects(firewall.ensure(), {
    code: 'network.firewall',
    message: /install iptables/,
  });
});
