// Images between registries and the engine: packed once, copied by what is missing, never another than was asked for.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { afterEach, describe, test } from 'node:test';
import { silentLog } from '#core/log';
import { publishImage, pullImage, type RegistryEngine } from './publish.ts';
import { Registry } from './registry.ts';

const type = 'application/vnd.docker.distribution.manifest.v2+json';
const base = '/v2/gantry/images';
const digestOf = (bytes: Buffer | string) =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** The part of a registry's API that is used, in memory. */
class FakeRegistry {
  readonly blobs = new Map<string, Buffer>();
  readonly tags = new Map<string, Buffer>();
  readonly received: string[] = [];
  isAway = false;
  registry!: Registry;
  readonly #server: Server = createServer(async (request, response) => {
    const body = await buffer(request);
    if (this.isAway) return void request.socket.destroy();
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://registry');
    const answer = this.#answer(`${request.method} ${pathname}`, searchParams, body);
    response.writeHead(answer.status, answer.headers).end(answer.body);
  });

  async start(host: string): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', () => resolve()));
    const { port } = this.#server.address() as { port: number };
    this.registry = new Registry({ host, address: `127.0.0.1:${port}` });
    closers.push(() => {
      this.registry.close();
      this.#server.close();
      this.#server.closeAllConnections();
    });
    return this;
  }

  /** As an engine pushes it. */
  take(imageId: string, layers: string[]): void {
    for (const layer of layers) this.blobs.set(digestOf(layer), Buffer.from(layer));
    const config = Buffer.from(`config of ${imageId}`);
    this.blobs.set(digestOf(config), config);
    const manifest = {
      config: { digest: digestOf(config) },
      layers: layers.map((layer) => ({ digest: digestOf(layer) })),
    };
    this.tags.set(imageId.replace('sha256:', ''), Buffer.from(JSON.stringify(manifest)));
  }

  #answer(call: string, query: URLSearchParams, body: Buffer) {
    const name = call.split('/').at(-1) ?? '';
    const none = { status: 404, headers: {}, body: '{}' };
    const begun = { status: 202, headers: { location: `${base}/blobs/uploads/1?_state=x` } };
    if (call === `GET ${base}/tags/list`)
      return this.tags.size === 0
        ? none
        : { status: 200, headers: {}, body: JSON.stringify({ tags: [...this.tags.keys()] }) };
    if (call === `POST ${base}/blobs/uploads/`) return { ...begun, body: '' };
    if (call === `PUT ${base}/blobs/uploads/1`) {
      assert.equal(query.get('_state'), 'x');
      assert.equal(digestOf(body), query.get('digest'));
      this.blobs.set(digestOf(body), body);
      this.received.push(body.toString());
      return { status: 201, headers: {}, body: '' };
    }
    if (call.startsWith(`PUT ${base}/manifests/`)) {
      this.tags.set(name, body);
      return { status: 201, headers: {}, body: '' };
    }
    if (call.startsWith(`DELETE ${base}/manifests/`)) {
      for (const [tag, bytes] of this.tags) if (digestOf(bytes) === name) this.tags.delete(tag);
      return { status: 202, headers: {}, body: '' };
    }
    const found = call.includes('/manifests/') ? this.tags.get(name) : this.blobs.get(name);
    if (!found) return none;
    const headers = { 'content-type': type, 'docker-content-digest': digestOf(found) };
    return { status: 200, headers, body: call.startsWith('HEAD') ? '' : found };
  }
}

/** Pushes into the fakes; what it is asked to pull it notes. */
function anEngine(fakes: FakeRegistry[], layers: string[] = ['base', 'code']) {
  const pushed: string[] = [];
  const pulled: string[] = [];
  const engine: RegistryEngine = {
    async push(imageId, name) {
      const fake = fakes.find(({ registry }) => name.startsWith(`${registry.address}/`));
      assert.ok(fake);
      pushed.push(fake.registry.host);
      fake.take(imageId, layers);
    },
    async pull(_imageId, name, keepAs) {
      pulled.push(`${name} as ${keepAs}`);
    },
  };
  return { engine, pushed, pulled };
}

const two = () =>
  Promise.all([new FakeRegistry().start('host-a'), new FakeRegistry().start('host-b')]);

describe('registries', () => {
  test('get an image that is packed once; the second gets the bytes of the first', async () => {
    const fakes = await two();
    const { engine, pushed } = anEngine(fakes);
    const all = fakes.map(({ registry }) => registry);
    const holders = await publishImage(all, engine, 'sha256:one', silentLog);
    assert.deepEqual(
      holders.map(({ host }) => host),
      ['host-a', 'host-b'],
    );
    assert.deepEqual(pushed, ['host-a']);
    assert.deepEqual(fakes[1].tags, fakes[0].tags);
    await publishImage(all, engine, 'sha256:one', silentLog);
    assert.deepEqual(pushed, ['host-a']);
  });

  test('share layers: a second image moves only what is new', async () => {
    const fakes = await two();
    const all = fakes.map(({ registry }) => registry);
    await publishImage(all, anEngine(fakes).engine, 'sha256:one', silentLog);
    fakes[1].received.length = 0;
    const { engine } = anEngine(fakes, ['base', 'new code']);
    await publishImage(all, engine, 'sha256:two', silentLog);
    assert.deepEqual(fakes[1].received, ['new code', 'config of sha256:two']);
    assert.deepEqual(await all[1]?.list(), ['sha256:one', 'sha256:two']);
  });

  test('that are away are passed over, and get the image from the other one later', async () => {
    const fakes = await two();
    const { engine, pushed } = anEngine(fakes);
    const all = fakes.map(({ registry }) => registry);
    fakes[0].isAway = true;
    const holders = await publishImage(all, engine, 'sha256:one', silentLog);
    assert.deepEqual(
      holders.map(({ host }) => host),
      ['host-b'],
    );
    fakes[0].isAway = false;
    await publishImage(all, engine, 'sha256:one', silentLog);
    assert.deepEqual(pushed, ['host-b']);
    assert.ok(await all[0]?.has('sha256:one'));
  });

  test('give an image to a machine: the first that has it and answers', async () => {
    const fakes = await two();
    const { engine, pulled } = anEngine(fakes);
    const all = fakes.map(({ registry }) => registry);
    assert.equal(await pullImage(all, engine, 'sha256:one', 'kept'), false);
    fakes[1].take('sha256:one', ['base']);
    fakes[0].isAway = true;
    assert.equal(await pullImage(all, engine, 'sha256:one', 'kept'), true);
    assert.deepEqual(pulled, [`${all[1]?.address}/gantry/images:one as kept`]);
    fakes[1].isAway = true;
    await assert.rejects(pullImage(all, engine, 'sha256:one', 'kept'), { code: 'images.registry' });
  });

  test('forget an image that is removed, and an empty one lists none', async () => {
    const [fake] = await two();
    fake.take('sha256:one', ['base']);
    await fake.registry.remove('sha256:one');
    await fake.registry.remove('sha256:one');
    assert.deepEqual(await fake.registry.list(), []);
  });
});
