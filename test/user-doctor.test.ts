// Does `gantry doctor` find a healthy platform healthy, and name what is wrong with one that is not?

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Check } from '#layer1/controller/client';
import { Platform } from './cluster/platform.ts';
import { waitFor } from './cluster/wait.ts';

const platform = Platform.connect();

const examine = async () => {
  const { code, stdout } = await platform.tryGantry('doctor', '--json');
  return { code, checks: JSON.parse(stdout) as Check[] };
};
const failed = (checks: Check[]) => checks.filter(({ isOk }) => !isOk);

describe('gantry doctor', () => {
  test('finds nothing on a platform that is well', async () => {
    let seen: Check[] = [];
    await waitFor(
      'all checks to pass',
      async () => {
        seen = failed((await examine()).checks);
        return seen.length === 0;
      },
      { seen: () => seen },
    );
    const { code, checks } = await examine();
    assert.equal(code, 0);
    assert.ok(checks.length >= 7, checks.map(({ name }) => name).join(', '));
  });

  test('names the DNS process when it is stopped, and is content when it is back', async () => {
    const dnsFault = async () =>
      failed((await examine()).checks).find(({ message }) => message.includes('gantry-dns'));
    await platform.machine.must('docker stop gantry-dns');
    try {
      await waitFor('doctor to name DNS', dnsFault);
      assert.notEqual((await examine()).code, 0);
    } finally {
      await platform.machine.must('docker start gantry-dns');
    }
    await waitFor('doctor to be content', async () => (await dnsFault()) === undefined);
  });
});
