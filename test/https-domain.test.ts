// Can a team use the platform from other machines? Under a domain of its own API, git and apps answer over HTTPS, with Gantry's
// authority or a certificate that is given; what was there before answers there too; and the way back is the same command.

import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { connect as connectHttp2 } from 'node:http2';
import { request } from 'node:https';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { connectApi } from './cluster/load-app.ts';
import { checkout, Platform } from './cluster/platform.ts';
import { waitFor } from './cluster/wait.ts';

const platform = Platform.connect();
const { machine } = platform;
const domain = 'apps.example.test';
const app = 'secured';
const hosts = ['api', 'git', app, 'fresh', 'hello'].map((name) => `${name}.${domain}`).join(' ');
const files = (text: string) => ({ 'public/index.html': text });

const up = (...options: string[]) =>
  machine.must(`cd ${checkout} && script/up ${options.join(' ')}`, { timeoutMs: 600_000 });

before(async () => {
  for (const name of [app, 'fresh']) await platform.deleteApp(name);
  const push = await platform.push(app, files('before the move'));
  assert.equal(push.code, 0, push.stderr);
  // What DNS would say.
  await machine.must(`sed -i '/${domain}/d' /etc/hosts && echo '127.0.0.1 ${hosts}' >>/etc/hosts`);
});

after(async () => {
  await up('--domain', 'gantry.localhost');
  // One that was given stays until it is removed: the next run wants the authority's again.
  const api = await connectApi(platform);
  await api.removeCertificate(domain);
  api.close();
  for (const name of [app, 'fresh']) await platform.deleteApp(name);
  await machine.sh(`sed -i '/${domain}/d' /etc/hosts`);
});

describe('a domain of its own', () => {
  test('serves API, git and apps over HTTPS by the authority of the cluster', async () => {
    const said = await up('--domain', domain);
    assert.match(said, /API: https:\/\/api\.apps\.example\.test/);
    const ca = await machine.must('cat /var/lib/gantry/ca/ca.crt');
    for (const name of ['api', 'git', app]) {
      const certificate = await certificateOf(`${name}.${domain}`);
      assert.ok(certificate.verify(new X509Certificate(ca).publicKey), `certificate of ${name}`);
      assert.ok(certificate.checkHost(`${name}.${domain}`));
    }
    const page = await ask(app, ca);
    assert.deepEqual([page.status, page.body], [200, 'before the move']);
    assert.equal((await ask('api', ca, '/apps')).status, 401);
  });

  test('speaks HTTP/2 to whoever asks for it, on one connection for many requests', async () => {
    const ca = await machine.must('cat /var/lib/gantry/ca/ca.crt');
    const servername = `${app}.${domain}`;
    const session = connectHttp2(`https://${machine.address}`, { ca, servername });
    const get = async () => {
      const stream = session.request({ ':path': '/', ':authority': servername });
      return await text(stream.setEncoding('utf8'));
    };
    const bodies = await Promise.all(Array.from({ length: 20 }, get));
    assert.equal(session.alpnProtocol, 'h2');
    session.close();
    assert.deepEqual([...new Set(bodies)], ['before the move']);
  });

  test('sends plain HTTP of the API and git to HTTPS', async () => {
    for (const name of ['api', 'git']) {
      const headers = { host: `${name}.${domain}` };
      const answer = await platform.ask(app, { path: '/apps?x=1', headers });
      assert.ok([301, 302, 307, 308].includes(answer.status), `${name}: ${answer.status}`);
      assert.equal(answer.headers.location, `https://${name}.${domain}/apps?x=1`);
    }
  });

  test('is what the command-line tool and git use from now on', async () => {
    const info = await platform.gantry('info', '-a', app);
    assert.match(info, /https:\/\/secured\.apps\.example\.test\//);
    const push = await platform.push('fresh', files('pushed over HTTPS'));
    assert.equal(push.code, 0, push.stderr);
    assert.match(push.stderr, /https:\/\/fresh\.apps\.example\.test/);
    const remote = await machine.must('git -C /tmp/push-fresh remote get-url gantry');
    assert.equal(remote.trim(), `https://git.${domain}/fresh.git`);
    const ca = await machine.must('cat /var/lib/gantry/ca/ca.crt');
    assert.equal((await ask('fresh', ca)).body, 'pushed over HTTPS');
  });

  test('leaves the old one answering, its remotes too', async () => {
    assert.equal((await platform.ask(app)).body, 'before the move');
    const push = await platform.push(app, files('pushed to the old remote'));
    assert.equal(push.code, 0, push.stderr);
    await platform.untilAnswers(app, 'pushed to the old remote');
  });

  test('is what names lead to inside of containers, and so is the old one', async () => {
    const addressOf = async (name: string) => {
      const [container] = Object.values(await platform.containers(app));
      const said = await machine.sh(`docker exec ${container?.id} getent ahostsv4 ${name}`);
      return said.stdout.split(' ')[0];
    };
    const now = await addressOf(`fresh.${domain}`);
    assert.match(now ?? '', /^10\./);
    await waitFor('the old name to lead there too', async () => {
      return (await addressOf('old-name.gantry.localhost')) === now;
    });
  });

  test('serves a certificate that is given, of an authority that nobody else knows', async () => {
    const made = '/tmp/given-certificate';
    const names = `subjectAltName=DNS:${domain},DNS:*.${domain}`;
    await machine.must(
      `mkdir -p ${made} && cd ${made} && openssl req -x509 -newkey rsa:2048 -nodes -days 90 -subj /CN=company -keyout ca.key -out ca.pem -addext basicConstraints=critical,CA:TRUE 2>&1 && openssl req -newkey rsa:2048 -nodes -subj /CN=given -keyout key.pem -out given.csr 2>&1 && echo ${names} >names && openssl x509 -req -in given.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 90 -extfile names -out cert.pem 2>&1`,
    );
    const pair = ['--cert', `${made}/cert.pem`, '--key', `${made}/key.pem`];
    await up('--domain', domain, ...pair, '--ca', `${made}/ca.pem`);
    const given = await machine.must(`cat ${made}/cert.pem`);
    const authority = await machine.must(`cat ${made}/ca.pem`);
    const print = (pem: X509Certificate) => createHash('sha256').update(pem.raw).digest('hex');
    const wanted = print(new X509Certificate(given));
    await waitFor('the given certificate to be served', async () => {
      return print(await certificateOf(`api.${domain}`)) === wanted;
    });
    assert.equal((await ask(app, authority)).status, 200);
    await machine.must(`rm -r ${made}`);
    const again = await up();
    assert.match(again, /API: https:\/\/api\.apps\.example\.test/);
    assert.equal(print(await certificateOf(`api.${domain}`)), wanted, 'kept by the next run');
    assert.match(await platform.gantry('apps'), /secured/);
    const push = await platform.push('fresh', files('pushed by the authority of the company'));
    assert.equal(push.code, 0, push.stderr);
    assert.equal((await ask('fresh', authority)).body, 'pushed by the authority of the company');
  });
});

test('back at the first domain everything answers there, the app that was made meanwhile too', async () => {
  await up('--domain', 'gantry.localhost');
  await platform.untilAnswers('fresh', 'pushed by the authority of the company');
  await platform.untilAnswers(app, 'pushed to the old remote');
  assert.match(await platform.gantry('info', '-a', app), /http:\/\/secured\.gantry\.localhost\//);
});

interface Page {
  status: number;
  body: string;
}

/** From outside of the machine, trusting only that authority. */
function ask(name: string, ca: string, path = '/'): Promise<Page> {
  const servername = `${name}.${domain}`;
  return new Promise((resolve, reject) => {
    const options = { host: machine.address, port: 443, path, ca, servername, agent: false };
    const call = request({ ...options, headers: { host: servername } }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    call.on('error', reject).end();
  });
}

function certificateOf(servername: string): Promise<X509Certificate> {
  return new Promise((resolve, reject) => {
    const options = { host: machine.address, port: 443, servername, rejectUnauthorized: false };
    const socket: TLSSocket = connect(options, () => {
      const certificate = socket.getPeerX509Certificate();
      socket.destroy();
      if (certificate) resolve(certificate);
      else reject(new Error(`${servername} showed no certificate`));
    });
    socket.on('error', reject);
  });
}
