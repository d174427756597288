// HTTPS and TCP through a real HAProxy: certificates without a reload, HTTP/2, redirects, ports and the PROXY header.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { certificateKey } from '#layer1/router/wire';
import { startLoad } from './load/client.ts';
import { freePort, Harness, haproxyMissing, waitFor } from './router/harness.ts';

const skip = haproxyMissing() ?? false;

describe('HTTPS and TCP with a real HAProxy', { skip }, () => {
  let harness: Harness;
  let tcpPort: number;

  before(async () => {
    tcpPort = await freePort();
    harness = await Harness.create({ tcpPortMin: tcpPort, tcpPortMax: tcpPort });
    await harness.startProxy();
    await harness.startRouter();
    await harness.addRoute({ service: 'web.shop', domain: 'shop.test' });
    await harness.startInstance('web.shop', 1);
    await harness.answers('shop.test');
  });
  after(() => harness.close());

  const proxies = () =>
    harness.routers[0]?.status().proxies as { worker: number; reloads: number }[];

  async function putCertificate(domain: string): Promise<void> {
    const key = join(harness.home, 'key.pem');
    const out = join(harness.home, 'cert.pem');
    const subject = ['-subj', `/CN=${domain}`, '-addext', `subjectAltName=DNS:${domain}`];
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
    const args = ['req', '-x509', ...kind, ...subject, '-keyout', key, '-out', out];
    execFileSync('openssl', args, { stdio: 'ignore' });
    const value = {
      domain,
      certificatePem: readFileSync(out, 'utf8'),
      sealedKeyPem: readFileSync(key, 'utf8'),
      expiresAt: Date.now() + 86_400_000,
    };
    await harness.store.txn({ compare: [], operations: [{ put: certificateKey(domain), value }] });
  }

  /** The certificate that is shown for this name, or the handshake's error code. */
  function handshake(
    servername: string,
  ): Promise<{ name?: string; serial?: string; error?: string }> {
    return new Promise((resolve) => {
      const options = { host: '127.0.0.1', port: harness.config.httpsPort, servername };
      const socket = connectTls({ ...options, rejectUnauthorized: false }, () => {
        const { subject, serialNumber } = socket.getPeerCertificate();
        resolve({ name: String(subject.CN), serial: serialNumber });
        socket.destroy();
      });
      socket.on('error', (error: NodeJS.ErrnoException) => resolve({ error: error.code ?? '' }));
    });
  }

  test('a certificate is served by its name moments after it is given, without a reload', async () => {
    const pid = proxies()[0]?.worker;
    assert.ok((await handshake('shop.test')).error, 'there was a certificate already');
    await putCertificate('shop.test');
    await waitFor('it', async () => (await handshake('shop.test')).name === 'shop.test');
    await putCertificate('*.shop.test');
    await waitFor(
      'the wildcard',
      async () => (await handshake('a.shop.test')).name === '*.shop.test',
    );
    assert.ok((await handshake('unknown.test')).error, 'an unknown name must be refused');
    assert.equal(proxies()[0]?.worker, pid, 'it was reloaded');
  });

  test('a renewed certificate replaces the old one under load', async () => {
    const pid = proxies()[0]?.worker;
    const before = (await handshake('shop.test')).serial;
    const load = startLoad({
      address: '127.0.0.1',
      port: harness.config.httpsPort,
      host: 'shop.test',
      mode: 'close',
      clients: 2,
      isTls: true,
      pauseMs: 5,
    });
    await putCertificate('shop.test');
    await waitFor('the new one', async () => (await handshake('shop.test')).serial !== before);
    const { requests, failed, examples } = await load.stop();
    assert.ok(requests > 0);
    assert.equal(failed, 0, examples.join('; '));
    assert.equal(proxies()[0]?.worker, pid, 'it was reloaded');
  });

  test('a deleted certificate is not served any more and its key leaves the disk', async () => {
    await harness.store.txn({
      compare: [],
      operations: [{ delete: certificateKey('*.shop.test') }],
    });
    await waitFor('it to go', async () => (await handshake('a.shop.test')).error);
    const path = join(harness.home, 'proxy/certs/_.shop.test.pem');
    await waitFor('its file to go', () => {
      try {
        readFileSync(path);
        return false;
      } catch {
        return true;
      }
    });
  });

  test('clients may speak HTTP/2, and the app is told that it was https', async () => {
    const session = connectHttp2(`https://127.0.0.1:${harness.config.httpsPort}`, {
      servername: 'shop.test',
      rejectUnauthorized: false,
    });
    const request = session.request({ ':path': '/two', ':authority': 'shop.test' });
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk;
    assert.equal(session.alpnProtocol, 'h2');
    session.close();
    const seen = JSON.parse(body) as { url: string; headers: Record<string, string> };
    assert.equal(seen.url, '/two');
    assert.equal(seen.headers['x-forwarded-proto'], 'https');
    assert.equal(seen.headers['x-forwarded-port'], String(harness.config.httpsPort));
  });

  test('plain HTTP is redirected where the route says so, with path and query', async () => {
    const service = 'web.shop';
    await harness.addRoute({ service, domain: 'secure.test', redirectsToHttps: true });
    await harness.answers('secure.test', 308);
    const { headers } = await harness.get(`secure.test:${harness.port}`, '/a?b=c');
    assert.equal(headers.location, `https://secure.test:${harness.config.httpsPort}/a?b=c`);
  });

  test('a TCP port leads to the service, and the PROXY header says who connected', async (t) => {
    const heads: Buffer[] = [];
    const server = createServer((socket) => {
      // HAProxy may send its header in a segment of its own.
      let head = Buffer.alloc(0);
      socket.on('error', () => socket.destroy());
      socket.on('data', (data) => {
        head = Buffer.concat([head, data]);
        if (!head.includes('hello')) return;
        heads.push(head);
        socket.end('bye');
      });
    });
    t.after(() => new Promise((resolve) => server.close(resolve)));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const route = {
      service: 'db.shop',
      type: 'tcp',
      port: tcpPort,
      sendsProxyProtocol: true,
    } as const;
    await harness.addRoute(route);
    await harness.discovery.register({
      id: '1.db.shop',
      service: 'db.shop',
      job: 'job-db',
      address: '127.0.0.1',
      port,
      ports: {},
      state: 'up',
      host: 'host-test',
      createdAt: 1,
      metadata: {},
    });
    const talk = () =>
      new Promise<string>((resolve, reject) => {
        const socket = connect(tcpPort, '127.0.0.1', () => socket.write('hello'));
        let text = '';
        socket.on('error', reject);
        socket.on('data', (data) => {
          text += String(data);
        });
        socket.on('close', () => resolve(text));
      });
    await waitFor('an answer', async () => (await talk()) === 'bye');
    const head = heads[0];
    assert.equal(head?.subarray(0, 12).toString('latin1'), '\r\n\r\n\0\r\nQUIT\n');
    assert.equal(head?.subarray(16, 20).join('.'), '127.0.0.1');
  });
});
