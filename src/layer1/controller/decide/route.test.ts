// Which ports a TCP route may have, and what a refusal says.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refusePort } from './route.ts';

const range = { min: 3000, max: 3010, taken: [3005] };

test('a port in the range that Gantry does not use is not refused', () => {
  for (const port of [3000, 3010]) refusePort(port, range);
});

test('a refusal names the range and how it is widened, or who listens there', () => {
  for (const port of [22, 2999, 3011])
    assert.throws(
      () => refusePort(port, range),
      /from 3000 to 3010, .*GANTRY_TCP_PORT_MAX.*https-and-domains/,
    );
  assert.throws(() => refusePort(3005, range), /Gantry itself listens there; .*3000 to 3010/);
});
