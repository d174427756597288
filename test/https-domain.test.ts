// Can a team use the platform from other machines? Under a domain of its own API, git and apps answer over HTTPS, with Gantry's
// authority or a certificate that is given; what was there before answers there too; and the way back is the same command.

import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { request } from 'node:https';
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

const upWith = (env: Record<string, string>, ...options: string[]) =>
  machine.must(`cd ${checkout} && script/up ${options.join(' ')}`, { env, timeoutMs: 600_000 });
const up = (...options: string[]) => upWith({}, ...options);

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

  test('serves a certificate that is given', async () => {
    const made = '/tmp/given-certificate';
    await machine.must(
      `mkdir -p ${made} && openssl req -x509 -newkey rsa:2048 -nodes -days 90 -subj /CN=given -keyout ${made}/key.pem -out ${made}/cert.pem -addext 'subjectAltName=DNS:${domain},DNS:*.${domain}' 2>&1`,
    );
    // No public authority signed it: whoever uses such a one tells Node of it.
    const trusting = { NODE_EXTRA_CA_CERTS: `${made}/cert.pem` };
    const pair = ['--cert', `${made}/cert.pem`, '--key', `${made}/key.pem`];
    await upWith(trusting, '--domain', domain, ...pair);
    const given = await machine.must(`cat ${made}/cert.pem`);
    const print = (pem: X509Certificate) => createHash('sha256').update(pem.raw).digest('hex');
    const wanted = print(new X509Certificate(given));
    await waitFor('the given certificate to be served', async () => {
      return print(await certificateOf(`api.${domain}`)) === wanted;
    });
    assert.equal((await ask(app, given)).status, 200);
    const again = await upWith(trusting);
    assert.match(again, /API: https:\/\/api\.apps\.example\.test/);
    assert.equal(print(await certificateOf(`api.${domain}`)), wanted, 'kept by the next run');
    await machine.must(`rm -r ${made}`);
  });
});

test('back at the first domain everything answers there, the app that was made meanwhile too', async () => {
  await up('--domain', 'gantry.localhost');
  await platform.untilAnswers('fresh', 'pushed over HTTPS');
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
