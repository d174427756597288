// Who is let in, who is refused, and who may speak: on loopback, with real TLS and real certificates.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect as connectPlain, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, describe, test } from 'node:test';
import { connect } from 'node:tls';
import { FakeClock } from '#core/fake-clock';
import { createHttpClient } from '#core/http-client';
import { createHttpServer, type HttpServer } from '#core/http-server';
import { createLog, silentLog } from '#core/log';
import { createMemoryStore } from '#layer0/store/fake';
import { issueCertificate, makeAuthority, makeRequest } from './act/authority.ts';
import { certificateDays, lastWordsMs, resyncMs, tokenTtlMs } from './config.ts';
import { formatToken, parseToken } from './decide/token.ts';
import { doorHeader, doorVersion } from './door-version.ts';
import {
  createMembership,
  joinCluster,
  type Membership,
  membershipFolder,
  Peers,
  readIdentity,
  registerJoinRoute,
  registerMembershipRoutes,
} from './index.ts';
import type { JoinAnswer } from './wire.ts';

const loopback = '127.0.0.1';
const joiner = { name: 'second', address: loopback, port: 7443 };
const settings = { domain: 'apps.example.com' };
const closers: (() => Promise<void>)[] = [];

class Machine {
  readonly store = createMemoryStore({ clock: new FakeClock() });
  readonly clock = new FakeClock(Date.now());
  home = '';
  port = 0;
  members: HttpServer = createHttpServer({ log: silentLog });
  membership!: Membership;
  peers!: Peers;
  /** What a call to /held waits for until it is answered. */
  held: () => Promise<void> = async () => undefined;
  /** Lines of the log. */
  readonly said: string[] = [];

  async start(): Promise<void> {
    this.home = await aFolder();
    this.port = await freePort();
    const peers = new Peers(membershipFolder(this.home));
    this.peers = peers;
    await peers.load();
    const strangers = createHttpServer({ log: silentLog });
    this.membership = createMembership(
      {
        store: this.store,
        peers,
        seal: { seal: (_, plain) => `sealed ${plain}`, open: (_, text) => text.slice(7) },
        sealKey: 'a2V5',
        servers: { members: this.members.server, strangers: strangers.server },
        clock: this.clock,
        random: () => 0.5,
        log: createLog('test', 'info', { write: (line) => void this.said.push(line) }),
      },
      {
        clusterId: 'cluster-a',
        hostId: 'host-first',
        hostName: 'first',
        hostAddress: loopback,
        peerPort: this.port,
        home: this.home,
        settings: () => settings,
      },
    );
    registerMembershipRoutes(this.members, this.membership);
    this.members.get('/held', { schema: { summary: 'Of the test', tags: ['test'] } }, async () => {
      await this.held();
      return {};
    });
    registerJoinRoute(strangers, this.membership);
    await Promise.all([this.members.ready(), strangers.ready()]);
    await this.membership.start();
    closers.push(async () => {
      await this.membership.stop();
      peers.close();
    });
  }

  async token(): Promise<string> {
    return (await this.membership.createToken()).token;
  }

  /** And until all that comes of it at once has come. */
  async untilRemoved(hostId: string): Promise<void> {
    await this.membership.remove(hostId);
    await until(async () => this.peers.get(hostId) === undefined);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

let machine: Machine;
beforeEach(async () => {
  machine = new Machine();
  await machine.start();
});
after(async () => {
  for (const close of closers) await close();
});

async function aFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-membership-'));
  closers.push(() => rm(folder, { recursive: true }));
  return folder;
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, loopback, () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

/** A second machine that has joined, and its connections. */
async function joined(token: string) {
  const folder = await aFolder();
  const answer = await joinCluster(token, joiner, folder);
  const peers = new Peers(folder);
  await peers.load();
  const identity = await readIdentity(folder);
  assert.ok(identity);
  peers.use(identity);
  closers.push(async () => peers.close());
  return { answer, peers, identity };
}

function isReachable(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: loopback, port, rejectUnauthorized: false });
    socket.once('secureConnect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('close', () => socket.destroy());
    socket.setTimeout(5000, () => socket.destroy());
    socket.once('secureConnect', () => socket.destroy());
  });
}

describe('a machine that is alone', () => {
  test('is the first member, and listens to nobody until somebody is expected', async () => {
    const { token } = await machine.membership.createToken();
    assert.deepEqual(parseToken(token).addresses, [`${loopback}:${machine.port}`]);
    assert.equal(await isReachable(machine.port), true);
    const [member] = await machine.membership.list();
    assert.deepEqual(
      { ...member, admittedAt: 0 },
      {
        hostId: 'host-first',
        name: 'first',
        address: loopback,
        port: machine.port,
        admittedAt: 0,
      },
    );
    const other = new Machine();
    await other.start();
    assert.equal(await isReachable(other.port), false);
  });
});

describe('joining', () => {
  test('gives a certificate, the keys of the cluster and its members, and a way to their API', async () => {
    const { answer, peers, identity } = await joined(await machine.token());
    assert.equal(answer.clusterId, 'cluster-a');
    assert.equal(answer.sealKey, 'a2V5');
    assert.deepEqual(answer.settings, settings);
    assert.equal(identity.hostId, answer.hostId);
    const members = await peers
      .client('host-first')
      .json<{ name: string }[]>('GET', '/membership/members');
    assert.deepEqual(members.map(({ name }) => name).sort(), ['first', 'second']);
  });

  test('works for a machine whose clock is behind', async () => {
    const { identity } = await joined(await machine.token());
    const { validFrom } = new X509Certificate(identity.certificatePem);
    assert.ok(Date.parse(validFrom) <= machine.clock.now() - 10 * 60_000);
  });

  test('is refused for a token that is used, unknown or over, and nothing is stored', async () => {
    const token = await machine.token();
    await joined(token);
    await assert.rejects(joined(token), /second is not let in: the join token was used already/);
    const unknown = formatToken({ ...parseToken(token), secret: 'guessed' });
    await assert.rejects(joined(unknown), /is not one of this cluster/);
    const told = machine.said.filter((line) => line.includes('was not let in'));
    assert.equal(told.length, 2);
    for (const line of told) assert.match(line, /"from":"127\.0\.0\.1","name":"second"/);
    assert.ok(!machine.said.join().includes('guessed'), 'a secret is in the log');
    const late = await machine.token();
    machine.clock.setWall(tokenTtlMs);
    await assert.rejects(joined(late), /has ended: they last an hour/);
    assert.equal((await machine.membership.list()).length, 2);
  });

  test('by two machines with one token lets one in', async () => {
    const token = await machine.token();
    const outcomes = await Promise.allSettled([joined(token), joined(token), joined(token)]);
    assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
    assert.equal((await machine.membership.list()).length, 2);
  });

  test('ends before anything is said when another cluster answers', async () => {
    const token = parseToken(await machine.token());
    const authority = 'a'.repeat(64);
    await assert.rejects(
      joined(formatToken({ ...token, authority })),
      /is not of the cluster of this join token/,
    );
    assert.equal((await machine.membership.list()).length, 1);
  });

  test('says that a token was not copied whole', async () => {
    const token = await machine.token();
    await assert.rejects(joined(token.slice(0, -20)), /no join token: a part of it is missing/);
    await assert.rejects(joined('s3cret'), /does not begin with gantry-join-/);
  });
});

describe('the peer door', () => {
  test('takes calls of a member that is one version older or newer, and no others', async () => {
    const { peers } = await joined(await machine.token());
    const options = peers.connection('host-first');
    const call = async (version: string) => {
      const client = createHttpClient({ ...options, headers: { [doorHeader]: version } });
      try {
        return await client.json('GET', '/membership/members');
      } finally {
        client.close();
      }
    };
    for (const near of [doorVersion - 1, doorVersion + 1]) await call(String(near));
    const refused = { code: 'membership.doorVersion', message: /Upgrade the older one first/ };
    for (const far of [String(doorVersion + 2), 'x']) await assert.rejects(call(far), refused);
  });

  test('understands a machine that joins and says more than this version knows', async () => {
    const { certificatePem: ca } = await authorityAfterToken(machine);
    const { secret } = parseToken(await machine.token());
    const { requestPem } = await makeRequest();
    const client = createHttpClient({
      baseUrl: `https://member:${machine.port}`,
      dialAddress: loopback,
      ca,
      checksName: false,
    });
    const body = { secret, requestPem, ...joiner, colour: 'green' };
    const answer = await client.json<JoinAnswer>('POST', '/join', { body });
    assert.deepEqual(answer.members.map(({ name }) => name).sort(), ['first', 'second']);
    client.close();
  });

  test('lets a machine without a certificate do nothing but join', async () => {
    await machine.token();
    const { certificatePem } = await authorityOf(machine);
    const stranger = createHttpClient({
      baseUrl: `https://member:${machine.port}`,
      dialAddress: loopback,
      ca: certificatePem,
      checksName: false,
    });
    await assert.rejects(stranger.json('GET', '/membership/members'), { code: 'core.notFound' });
    await assert.rejects(stranger.json('POST', '/membership/tokens'), { code: 'core.notFound' });
    stranger.close();
  });

  test('logs who speaks something else, and not who only asks whether it is there', async () => {
    await machine.token();
    const gone = new Promise<void>((resolve) => {
      const asking = connectPlain(machine.port, loopback, () => asking.resetAndDestroy());
      asking.once('close', () => resolve());
    });
    await gone;
    const speaking = connectPlain(machine.port, loopback);
    speaking.on('error', () => speaking.destroy());
    speaking.write('GET / HTTP/1.0\r\n\r\n');
    await until(async () => machine.said.some((line) => line.includes('http request')));
    const noTls = machine.said.filter((line) => line.includes('no TLS at the peer door'));
    assert.equal(noTls.length, 1);
  });

  test('answers a member that takes itself out, then refuses it, in the middle of a connection too, and says so', async () => {
    const { peers, answer } = await joined(await machine.token());
    // Somebody is expected, else the one machine that is left would listen to nobody.
    await machine.token();
    const client = peers.client('host-first');
    machine.held = () => machine.untilRemoved(answer.hostId);
    await client.json('GET', '/held');
    await until(async () => {
      await machine.clock.advance(lastWordsMs);
      const error = await client.json('GET', '/membership/members').then(
        () => undefined,
        (e) => e,
      );
      return error?.code === 'membership.removed';
    });
  });

  test('answers the last one that takes itself out, then listens to nobody', async () => {
    const { peers, answer } = await joined(await machine.token());
    machine.held = () => machine.untilRemoved(answer.hostId);
    await peers.client('host-first').json('GET', '/held');
    await machine.clock.advance(lastWordsMs);
    await until(async () => !(await isReachable(machine.port)));
  });

  test('refuses a certificate of another authority that names a member', async () => {
    await joined(await machine.token());
    const { certificatePem: ca } = await authorityOf(machine);
    const now = Date.now();
    const { keyPem: key, requestPem } = await makeRequest();
    const foreign = await makeAuthority('cluster-a', now);
    const cert = await issueCertificate(foreign, {
      hostId: 'host-first',
      address: '127.0.0.1',
      requestPem,
      now,
    });
    const baseUrl = `https://host-first:${machine.port}`;
    const client = createHttpClient({ baseUrl, dialAddress: loopback, ca, cert, key });
    await assert.rejects(client.json('GET', '/membership/members'), { code: 'core.unreachable' });
    client.close();
    const told = machine.said.find((line) => line.includes('refused at the peer door')) ?? '';
    assert.match(told, /127\.0\.0\.1.*its certificate does not count/);
  });

  test('refuses a member whose certificate has ended, and says so in the log', async () => {
    const lifeMs = certificateDays * 86_400_000 - 2000;
    const token = await machine.token();
    // Made then, its certificate ends in two seconds.
    machine.clock.setWall(-lifeMs);
    const { peers } = await joined(token);
    machine.clock.setWall(lifeMs);
    await until(async () => {
      const call = peers.client('host-first').json('GET', '/membership/members');
      // Each try on a connection of its own.
      call.finally(() => peers.close()).catch(() => undefined);
      return call.then(
        () => false,
        ({ code }) => code === 'core.unreachable',
      );
    });
    assert.ok(
      machine.said.some((line) => /certificate does not count: CERT_HAS_EXPIRED/.test(line)),
    );
  });

  test('shows a new certificate before the old one ends', async () => {
    const ageMs = 65 * 86_400_000;
    machine.clock.setWall(-ageMs);
    const { peers } = await joined(await machine.token());
    const before = await readIdentity(membershipFolder(machine.home));
    machine.clock.setWall(ageMs);
    // Once: certificates count for real clocks too, which this must not leave far behind.
    await machine.clock.advance(2 * resyncMs);
    await until(async () => {
      const now = await readIdentity(membershipFolder(machine.home));
      return now !== undefined && now.certificatePem !== before?.certificatePem;
    });
    await peers.client('host-first').json('GET', '/membership/members');
  });
});

async function authorityAfterToken(of: Machine) {
  await of.token();
  return authorityOf(of);
}

async function authorityOf({ store }: Machine): Promise<{ certificatePem: string }> {
  const entry = await store.get<{ certificatePem: string }>('membership/authority');
  assert.ok(entry);
  return entry.value;
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, 'it did not come about in 20 s');
    await new Promise((resolve) => setImmediate(resolve));
  }
}
