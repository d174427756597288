// What the system image holds compiled is all that a process loads: else each one keeps the TypeScript parser in memory.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { promisify } from 'node:util';

const checkout = join(import.meta.dirname, '../..');
const table = {
  domain: 'gantry',
  listeners: [{ address: '127.0.0.1', subnet: '127.0.0.0/8', app: 'shop' }],
  services: {},
  routerSuffixes: [],
  upstreams: [],
};

test('a process that starts in the system image compiles nothing, not even its entry', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-warm-'));
  const cache = join(folder, 'cache');
  const cached = async () =>
    (await readdir(cache, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map(({ name }) => name)
      .sort();
  try {
    const env = { ...process.env, NODE_COMPILE_CACHE: cache };
    const warm = join(checkout, 'images/system/warm.mjs');
    await promisify(execFile)(process.execPath, [warm], { cwd: checkout, env });
    const before = await cached();
    assert.ok(before.length > 100, `${before.length} files are too few to be all of ours`);
    await mkdir(join(folder, 'dns'));
    await writeFile(join(folder, 'dns/table.json'), JSON.stringify(table));
    const dns = spawn(process.execPath, ['bin/gantry-dns.ts'], {
      cwd: checkout,
      env: { ...env, GANTRY_HOME: folder, GANTRY_DNS_PORT: '0' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    for await (const line of createInterface(dns.stdout)) if (line.includes('listening')) break;
    dns.kill('SIGTERM');
    assert.deepEqual(await once(dns, 'exit'), [0, null]);
    assert.deepEqual(await cached(), before);
  } finally {
    await rm(folder, { recursive: true });
  }
});
