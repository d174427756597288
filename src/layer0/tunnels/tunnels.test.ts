// What comes out of a tunnel is what went in: its end, its half end, its break. Two machines in one process, with real sockets
// and a cable between them that can be held.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { systemClock as clock } from '#core/clock';
import { createHttpClient, type HttpClient } from '#core/http-client';
import { createHttpServer, listenTcp } from '#core/http-server';
import { silentLog } from '#core/log';
import { systemRandom as random } from '#core/random';
import { createDiscovery, type DiscoveryClient, type Instance } from '#layer0/discovery/client';
import { anInstance } from '#layer0/discovery/fake';
import { createMemoryStore } from '#layer0/store/fake';
import { createTunnels, type Tunnels } from './index.ts';

/** A failure shows as this, not as a test that hangs. */
const limit = { timeout: 20_000 };
const service = 'controller.gantry';
const loopback = '127.0.0.1';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Passes bytes on, unless it is held: then nothing moves and nothing ends. */
class Cable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #nears = new Set<Socket>();
  #isHeld = false;

  constructor(port: number) {
    this.#server = createServer({ allowHalfOpen: true }, (near) => {
      const far = connect({ host: loopback, port, allowHalfOpen: true });
      for (const socket of [near, far]) {
        this.#sockets.add(socket);
        socket.on('error', () => socket.destroy());
        socket.once('close', () => this.#sockets.delete(socket));
        if (this.#isHeld) socket.pause();
      }
      this.#nears.add(near);
      near.once('close', () => this.#nears.delete(near));
      this.#join(near, far);
      this.#join(far, near);
    });
  }

  #join(from: Socket, to: Socket): void {
    from.on('data', (chunk) => void to.write(chunk));
    from.on('end', () => to.end());
    from.on('close', () => !this.#isHeld && to.destroy());
    if (this.#isHeld) from.pause();
  }

  async listen(): Promise<number> {
    this.#server.listen(0, loopback);
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  hold(): void {
    this.#isHeld = true;
    for (const socket of this.#sockets) socket.pause();
  }

  heal(): void {
    this.#isHeld = false;
    for (const socket of this.#sockets) socket.resume();
  }

  /** The machine lost its power: no connection ends, and what is said on one is answered with a reset now. */
  forget(): void {
    for (const near of this.#nears)
      near.removeAllListeners('data').on('data', () => near.resetAndDestroy());
    for (const socket of this.#sockets)
      if (!this.#nears.has(socket)) socket.removeAllListeners('close').destroy();
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

interface Bed {
  near: Tunnels;
  far: Tunnels;
  cable: Cable;
  /** Calls from the near machine to the far one that ask for a connection to a process. */
  asked(): number;
  ping(): Promise<unknown>;
  /** As the near machine sees the process. */
  instance(): Instance;
  registry: DiscoveryClient;
}

const maxConnections = 64;
/** Long enough for a slow machine, but where a test waits for it. */
let pingTimeoutMs = 10_000;
let endAfterMs = 15_000;

const patience = () => ({
  maxConnections,
  pingEveryMs: 50,
  pingTimeoutMs,
  endAfterMs,
  patienceMs: 2_000,
});

let bed: Bed;
/** Whether the machine of the process has heard of it. */
let isKnownThere: boolean;
/** What the process does with a connection. */
let behave: (socket: Socket) => unknown;

async function aProcess(): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    closers.push(() => socket.destroy());
    void behave(socket);
  });
  server.listen(0, loopback);
  await once(server, 'listening');
  closers.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

beforeEach(async () => {
  isKnownThere = true;
  const store = createMemoryStore({ clock });
  const see = (here?: string) => {
    const discovery = createDiscovery({
      store,
      clock,
      random,
      log: silentLog,
      ...(here === undefined ? {} : { here }),
    });
    closers.push(() => discovery.abandon());
    return discovery;
  };
  const port = await aProcess();
  const [registry, fromNear, fromFar] = [see(), see('host-a'), see('host-b')];
  const there = { host: 'host-b', service, job: 'job-1', address: loopback };
  await registry.register(anInstance(1, { ...there, port, ports: { http: port } }));
  const door = createHttpServer({ log: silentLog });
  let client: HttpClient;
  let asked = 0;
  const make = (discovery: Pick<DiscoveryClient, 'directory' | 'watchAll'>, hostId: string) =>
    createTunnels(
      {
        discovery,
        clock,
        random,
        log: silentLog,
        client: () => ({
          json: (...call) => client.json(...call),
          upgrade: (...call) => {
            asked++;
            return client.upgrade(...call);
          },
        }),
        memberOf: () => 'host-a',
      },
      { hostId, apiSocket: '/nowhere', ...patience() },
    );
  const heard = {
    directory: () => (isKnownThere ? fromFar.directory() : undefined),
    watchAll: fromFar.watchAll.bind(fromFar),
  };
  const [near, far] = [make(fromNear, 'host-a'), make(heard, 'host-b')];
  far.registerRoutes(door);
  const cable = new Cable(await listenTcp(door, loopback, 0));
  client = createHttpClient({ baseUrl: `http://${loopback}:${await cable.listen()}` });
  await Promise.all([near.start(), far.start()]);
  closers.push(
    () => near.stop(),
    () => far.stop(),
    () => client.close(),
    () => cable.close(),
    () => door.close(),
  );
  const instance = () => fromNear.instances(service)[0] as Instance;
  const ping = () => client.json('GET', '/tunnels/ping');
  bed = { near, far, cable, asked: () => asked, ping, instance, registry };
  await until('the tunnel is there', () => seen().tunnels === 1);
});

function seen(tunnels = bed.near) {
  const { tunnels: status } = tunnels.status() as {
    tunnels: { tunnels: number; connections: number; taken: number; away: string[] };
  };
  return status;
}

async function until(what: string, isTrue: () => boolean): Promise<void> {
  const end = performance.now() + 10_000;
  while (!isTrue()) {
    if (performance.now() > end) assert.fail(`not true within 10 s: ${what}`);
    await clock.sleep(5);
  }
}

function dial(): Socket {
  const { address, port } = bed.instance();
  const socket = connect({ host: address, port, allowHalfOpen: true });
  closers.push(() => socket.destroy());
  socket.on('error', () => undefined);
  return socket;
}

/** How the connection ended. */
function endOf(socket: Socket): Promise<'closed' | 'broken'> {
  return new Promise((resolve) => {
    socket.once('error', () => resolve('broken'));
    socket.once('close', () => resolve('closed'));
  });
}

const echo = (socket: Socket) => void socket.pipe(socket);

describe('a connection through a tunnel', () => {
  test('carries what both say, and an end of one side alone', limit, async () => {
    behave = async (socket) => {
      const asked = await buffer(socket);
      socket.end(`heard ${asked.length}`);
    };
    const socket = dial();
    const sent = Buffer.alloc(3_000_000, 7);
    socket.end(sent);
    assert.equal((await buffer(socket)).toString(), `heard ${sent.length}`);
    await until('it is over on both sides', () => seen().connections + seen(bed.far).taken === 0);
  });

  test('goes on one way when the process has ended the other', limit, async () => {
    const heard = Promise.withResolvers<string>();
    behave = (socket) => {
      socket.end('bye');
      void buffer(socket).then((all) => heard.resolve(all.toString()));
    };
    const socket = dial();
    socket.write('first ');
    assert.equal((await buffer(socket)).toString(), 'bye');
    socket.end('and last');
    assert.equal(await heard.promise, 'first and last');
  });

  test('brings what a process says that speaks first', limit, async () => {
    behave = (socket) => void socket.write('220 ready\n');
    const [chunk] = await once(dial(), 'data');
    assert.equal(String(chunk), '220 ready\n');
  });

  test('breaks at both ends when one of them breaks', limit, async () => {
    const ended = Promise.withResolvers<string>();
    behave = (socket) => {
      socket.once('data', () => socket.resetAndDestroy());
    };
    const cut = dial();
    cut.write('x');
    assert.equal(await endOf(cut), 'broken', 'the process broke it');
    behave = (socket) => {
      socket.resume();
      void endOf(socket).then(ended.resolve);
    };
    const given = dial();
    given.write('x');
    await until('it is through', () => seen(bed.far).taken === 1);
    given.resetAndDestroy();
    assert.equal(await ended.promise, 'broken', 'the caller broke it');
  });

  test('waits for a reader that does not read, and loses nothing', limit, async () => {
    const total = 64 * 1024 * 1024;
    let written = 0;
    behave = (socket) => {
      const chunk = Buffer.alloc(1024 * 1024, 1);
      const more = () => {
        while (written < total) {
          written += chunk.length;
          if (!socket.write(chunk)) return void socket.once('drain', more);
        }
        socket.end();
      };
      more();
    };
    const socket = dial();
    socket.write('go');
    let before = -1;
    await until('the process has to wait', () => {
      const isStill = written === before && written > 0;
      before = written;
      return isStill;
    });
    assert.ok(written < total, 'all of it is in memory');
    let read = 0;
    for await (const chunk of socket) read += (chunk as Buffer).length;
    assert.equal(read, total);
  });

  test(
    'costs nothing at the other machine when somebody only looks whether it is open',
    limit,
    async () => {
      behave = echo;
      for (let look = 0; look < 20; look++) {
        const socket = dial();
        await once(socket, 'connect');
        socket.end();
        await once(socket, 'close');
      }
      assert.deepEqual([seen(bed.far).taken, seen().connections], [0, 0]);
    },
  );
});

describe('a machine that has begun anew', () => {
  test('is reached although every connection to it that was kept is dead', limit, async () => {
    behave = echo;
    const open = Array.from({ length: 5 }, dial);
    for (const socket of open) socket.write('x');
    await Promise.all(open.map((socket) => once(socket, 'data')));
    await Promise.all([1, 2, 3, 4].map(() => bed.ping()));
    bed.cable.forget();
    const socket = dial();
    socket.write('y');
    assert.equal(String((await once(socket, 'data'))[0]), 'y');
  });

  test('is asked again when it has not heard of its process yet', limit, async () => {
    behave = echo;
    isKnownThere = false;
    const socket = dial();
    socket.write('y');
    await until('it was asked', () => bed.asked() > 0);
    isKnownThere = true;
    assert.equal(String((await once(socket, 'data'))[0]), 'y');
  });

  test('breaks the connection when it never hears of it', limit, async () => {
    isKnownThere = false;
    const socket = dial();
    socket.write('y');
    assert.equal(await endOf(socket), 'broken');
  });
});

describe('a machine whose answer is late', () => {
  before(() => {
    pingTimeoutMs = 500;
  });
  after(() => {
    pingTimeoutMs = 10_000;
  });

  test('loses nothing: neither what is open nor what was to be', limit, async () => {
    behave = echo;
    const open = dial();
    open.write('x');
    await once(open, 'data');
    bed.cable.hold();
    const late = dial();
    await once(late, 'connect');
    for (const socket of [open, late]) socket.write('y');
    await until('it is away', () => seen().away.length === 1);
    bed.cable.heal();
    for (const socket of [open, late]) assert.equal(String((await once(socket, 'data'))[0]), 'y');
  });
});

describe('a machine that does not answer', () => {
  before(() => {
    [pingTimeoutMs, endAfterMs] = [1_000, 1_500];
  });
  after(() => {
    [pingTimeoutMs, endAfterMs] = [10_000, 15_000];
  });

  test('ends the connections to it, refuses new ones, and is found again', limit, async () => {
    behave = echo;
    const [open, late] = [dial(), dial()];
    for (const socket of [open, late]) {
      socket.write('x');
      await once(socket, 'data');
    }
    const ends = [open, late].map(endOf);
    bed.cable.hold();
    assert.deepEqual(await Promise.all(ends), ['broken', 'broken']);
    await until('nobody listens for it', () => seen().tunnels === 0);
    assert.equal(await endOf(dial()), 'broken', 'refused at once');
    bed.cable.heal();
    await until('it is listened for again', () => seen().tunnels === 1);
    const again = dial();
    again.write('y');
    assert.equal(String((await once(again, 'data'))[0]), 'y');
  });

  test('is noticed by the machine that the process is on, which lets go of it', limit, async () => {
    const ended = Promise.withResolvers<string>();
    behave = (socket) => void endOf(socket).then(ended.resolve);
    const socket = dial();
    socket.write('x');
    await until('it is through', () => seen(bed.far).taken === 1);
    bed.cable.hold();
    assert.equal(await ended.promise, 'broken');
    await until('nothing is left', () => seen(bed.far).taken === 0);
  });

  test('breaks a connection that was not answered yet', limit, async () => {
    behave = echo;
    bed.cable.hold();
    const socket = dial();
    socket.write('x');
    assert.equal(await endOf(socket), 'broken');
  });
});

describe('a tunnel', () => {
  test('ends with its process, and its address leads to no other one', limit, async () => {
    behave = echo;
    const old = bed.instance();
    await bed.registry.deregister({ service, handle: 'job-1' });
    const port = await aProcess();
    const next = { host: 'host-b', service, job: 'job-2', address: loopback };
    await bed.registry.register(anInstance(2, { ...next, port, ports: { http: port } }));
    await until('the next one is there', () => bed.instance()?.job === 'job-2');
    await until('it is listened for', () => seen().tunnels === 1);
    assert.notEqual(bed.instance().address, old.address);
    assert.equal(await endOf(connect(old.port, old.address)), 'broken');
    assert.equal(await endOf(connect(bed.instance().port, old.address)), 'broken');
  });

  test('lets a bounded number of connections in, and all of them go', limit, async () => {
    behave = echo;
    const all = Array.from({ length: maxConnections + 50 }, dial);
    const ends = all.map(endOf);
    for (const socket of all) socket.write('x');
    await until('it is full', () => seen().connections === maxConnections);
    for (const socket of all) socket.destroy();
    await Promise.all(ends);
    await until('all are gone', () => seen().connections + seen(bed.far).taken === 0);
  });

  test('breaks the connection when the process takes none', limit, async () => {
    const { job = '', ...rest } = anInstance(3, { host: 'host-b', service, address: loopback });
    const server = createServer().listen(0, loopback);
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    await bed.registry.deregister({ service, handle: 'job-1' });
    await bed.registry.register({ ...rest, job, port, ports: { http: port } });
    await until('it is there', () => bed.instance()?.job === job && seen().tunnels === 1);
    const socket = dial();
    socket.write('x');
    assert.equal(await endOf(socket), 'broken');
  });
});
