// When is the kernel looked at, and when only told? With programs that are scripted; test/overlay.test.ts has a real kernel.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bridgeName } from './decide/names.ts';
import type { Endpoint, OverlayWanted } from './decide/overlay.ts';
import { createOverlay } from './overlay.ts';

const cluster = 'cluster-1';
const bridge = bridgeName(cluster, 1);
const endpoint: Endpoint = { ip: '10.64.0.3', member: '10.1.1.2' };

function wanted(endpoints: Endpoint[], bridges = [bridge]): OverlayWanted {
  const networks = bridges.map((name, at) => ({
    vni: at + 1,
    bridge: name,
    gateway: `10.64.${at}.1`,
    endpoints,
  }));
  return { cluster, local: '10.1.1.1', mtu: 1450, networks };
}

/** Says what was run: `look`, or lines that a program got. */
function scripted({ bridges = [bridge], refuses = '' } = {}) {
  const said: string[] = [];
  const overlay = createOverlay(async (_file, _args, input) => {
    if (input !== undefined) {
      said.push(...input.split('\n').filter((line) => / dev /.test(line)));
      if (refuses && input.includes(refuses)) throw new Error('refused');
      return '';
    }
    said.push('look');
    const seen = bridges.map((ifname) => ({ ifname, address: '02:42:0a:40:00:01' }));
    return ['[]', JSON.stringify(seen), '', '[]', '[]', '[]'].join('\n\n=\n');
  });
  /** What was said since the last time. */
  const heard = () => said.splice(0);
  return { overlay, heard };
}

test('where only entries change, they are told without a look, and nothing is told twice', async () => {
  const { overlay, heard } = scripted();
  await overlay.follow(wanted([]));
  assert.equal(heard()[0], 'look', 'nothing is known yet');
  await overlay.follow(wanted([endpoint]));
  assert.equal(heard().length, 3, 'a neighbour, a way to the member, a port of the bridge');
  await overlay.follow(wanted([endpoint]));
  assert.deepEqual(heard(), []);
  await overlay.follow(wanted([]));
  assert.ok(heard().every((line) => line.includes(' del ')));
});

test('a network that comes, a refusal, a strange record, or a bridge that is not there yet have the kernel looked at', async () => {
  const other = bridgeName(cluster, 2);
  const first = scripted();
  await first.overlay.ensure(wanted([]));
  first.heard();
  await first.overlay.follow(wanted([], [bridge, other]));
  assert.equal(first.heard()[0], 'look');
  await first.overlay.follow(wanted([], [bridge, other]));
  assert.equal(first.heard()[0], 'look', 'the second bridge is not there');

  const strange = { ...endpoint, member: '10.1.1.2\nEND\nreboot' };
  await assert.rejects(first.overlay.ensure(wanted([strange])), /is no line for ip or bridge/);
  assert.deepEqual(new Set(first.heard()), new Set(['look']), 'no shell gets it');

  const second = scripted({ refuses: 'neigh replace' });
  await second.overlay.ensure(wanted([]));
  second.heard();
  await assert.rejects(second.overlay.follow(wanted([endpoint])), /refused/);
  assert.ok(second.heard().includes('look'), 'what was refused is looked at before it counts');
});
