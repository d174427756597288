// Which controller is asked, where there are several.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { anInstance } from '#layer0/discovery/fake';
import { controllerUrlFrom } from './platform.ts';

const service = 'controller.gantry';
const here = anInstance(1, { service, host: 'host-a', address: '127.0.0.1', port: 1 });
const there = anInstance(2, { service, host: 'host-b', address: '127.70.1.2', port: 2 });

function urlFrom(...instances: (typeof here)[]): string {
  return controllerUrlFrom({ instances: () => instances }, { service, here: 'host-a' });
}

test('the controller of this machine is asked, else the newest that takes calls', () => {
  assert.equal(urlFrom(here, there), 'http://127.0.0.1:1');
  assert.equal(urlFrom({ ...here, state: 'draining' }, there), 'http://127.70.1.2:2');
  assert.throws(() => urlFrom({ ...here, state: 'draining' }), { code: 'git.unavailable' });
});
