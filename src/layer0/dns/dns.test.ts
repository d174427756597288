// The DNS server on real sockets of loopback: changes, listeners, forwarding, hostile packets.

import assert from 'node:assert/strict';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { systemClock } from '#core/clock';
import { seededRandom } from '#core/random';
import type { DnsTable } from '#layer0/discovery/wire';
import { addressesOf, aQuestion, askTcp, askUdp, aTable, startUpstream } from './fake.ts';
import { createDnsServer } from './index.ts';

const log = { info() {}, warn() {} };
/** Names of the same service answer from the same table, so that each test has addresses of its own. */
let nextAddress = 10;
const cleanups: (() => Promise<void> | void)[] = [];
after(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

interface Running {
  address: string;
  port: number;
  write(table: Partial<DnsTable>): Promise<void>;
}

async function run(table: Partial<DnsTable> = {}, upstreamPort?: number): Promise<Running> {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-dns-'));
  const address = `127.0.77.${nextAddress++}`;
  const port = 20_000 + (process.pid % 20_000);
  const listeners = [{ address, subnet: '127.0.0.0/16', app: 'shop' }];
  const write = async (next: Partial<DnsTable>) => {
    await writeFile(join(folder, 'next'), JSON.stringify({ ...aTable({ listeners }), ...next }));
    await rename(join(folder, 'next'), join(folder, 'table.json'));
  };
  await write(table);
  const config = { tablePath: join(folder, 'table.json'), port };
  const server = createDnsServer(
    { clock: systemClock, log },
    upstreamPort === undefined ? config : { ...config, upstreamPort },
  );
  await server.start();
  cleanups.push(async () => {
    await server.stop();
    await rm(folder, { recursive: true });
  });
  await until('it listens', () => server.status().bound !== 0);
  return { address, port, write };
}

function rcodeOf(answer: Buffer | undefined): number | undefined {
  return answer && answer.readUInt16BE(2) & 15;
}

async function until(what: string, isDone: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 5_000;
  while (!(await isDone())) {
    if (Date.now() > end) assert.fail(`within 5 s not true: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test('a change of the table is answered within 50 ms, over UDP and TCP', async () => {
  const dns = await run();
  const ask = () => askUdp(dns, aQuestion('web.shop.service.gantry'));
  assert.equal(addressesOf(await ask()).length, 3);
  const one = { 'web.shop': [{ address: '10.64.1.77', port: 80, id: '1.web.shop' }] };
  const startedAt = performance.now();
  await dns.write({ services: one });
  await until('the new address is answered', async () => {
    return addressesOf(await ask())[0] === '10.64.1.77';
  });
  assert.ok(performance.now() - startedAt < 50 * 4, 'four times the promise, for a busy machine');
  assert.deepEqual(addressesOf(await askTcp(dns, aQuestion('web'))), ['10.64.1.77']);
});

test('a malformed table is ignored and the last good one goes on', async () => {
  const dns = await run();
  await dns.write({ services: { 'web.shop': [{ address: 'x', port: 1, id: 'y' }] } });
  await dns.write({ upstreams: [1] as unknown as string[] });
  assert.equal(addressesOf(await askUdp(dns, aQuestion('web'))).length, 3);
});

test('who asks from outside of the network gets no answer', async () => {
  const dns = await run({
    listeners: [{ address: '127.0.77.250', subnet: '127.5.0.0/16', app: 'shop' }],
  });
  const target = { address: '127.0.77.250', port: dns.port };
  assert.equal(await askUdp(target, aQuestion('web'), 200), undefined);
  const inside = await askUdp({ ...target, from: '127.5.0.9' }, aQuestion('web'));
  assert.equal(addressesOf(inside).length, 3);
  await assert.rejects(askTcp(target, aQuestion('web')));
});

test('a listener that left the table stops answering', async () => {
  const dns = await run();
  await dns.write({ listeners: [] });
  await until('the port is closed', async () => {
    return (await askUdp(dns, aQuestion('web'), 50).catch(() => undefined)) === undefined;
  });
});

test('a lost packet is asked again after 150 ms and the answer is kept', async () => {
  const upstream = await startUpstream((question, count) => {
    if (count < 3) return undefined;
    const answers = [{ type: 'A' as const, name: 'example.com', ttl: 60, data: '192.0.2.7' }];
    return { type: 'response', questions: question.questions ?? [], answers };
  });
  cleanups.push(() => upstream.close());
  const dns = await run({ upstreams: ['127.0.0.1'] }, upstream.port);
  const startedAt = performance.now();
  const both = await Promise.all([0, 1].map(() => askUdp(dns, aQuestion('example.com'))));
  assert.ok(performance.now() - startedAt >= 290);
  assert.deepEqual(both.map(addressesOf), [['192.0.2.7'], ['192.0.2.7']]);
  assert.deepEqual(addressesOf(await askUdp(dns, aQuestion('Example.COM'))), ['192.0.2.7']);
  assert.equal(upstream.asked.length, 3, 'two clients shared one question and the third a memory');
});

test('a dead upstream is SERVFAIL after eight sends', async () => {
  const upstream = await startUpstream(() => undefined);
  cleanups.push(() => upstream.close());
  const dns = await run({ upstreams: ['127.0.0.1'] }, upstream.port);
  const answer = await askUdp(dns, aQuestion('example.com'));
  assert.equal(rcodeOf(answer), 2);
  assert.equal(upstream.asked.length, 8);
});

test('an answer to another question is not believed', async () => {
  const upstream = await startUpstream(() => ({
    type: 'response',
    questions: [{ type: 'A', name: 'evil.example' }],
    answers: [{ type: 'A', name: 'evil.example', ttl: 60, data: '192.0.2.66' }],
  }));
  cleanups.push(() => upstream.close());
  const dns = await run({ upstreams: ['127.0.0.1'] }, upstream.port);
  const answer = await askUdp(dns, aQuestion('bank.example'));
  assert.equal(rcodeOf(answer), 2);
});

test('hostile packets leave it answering', async () => {
  const dns = await run();
  const random = seededRandom(7);
  const valid = aQuestion('web.shop.service.gantry', 'A', 1232);
  const noise = Array.from({ length: 2_000 }, () => {
    const length = Math.floor(random() * 80);
    if (random() < 0.3) return Buffer.from(Array.from({ length }, () => random() * 256));
    const bent = Buffer.from(valid.subarray(0, Math.floor(random() * valid.length)));
    for (let flips = 0; flips < 3; flips++)
      if (bent.length > 0) bent[Math.floor(random() * bent.length)] = random() * 256;
    return bent;
  });
  for (const packet of noise) await askUdp(dns, packet, 0);
  await assert.rejects(askTcp(dns, Buffer.alloc(5_000)), 'longer than any question');
  await assert.rejects(askTcp(dns, Buffer.alloc(0)), 'shorter than any question');
  assert.equal(addressesOf(await askUdp(dns, aQuestion('web'))).length, 3);
});
