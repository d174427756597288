// The small parts that make text and read it: tables, units, explanations, frames, and where a log was.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppError } from '#core/errors';
import type { Cluster } from './clusters.ts';
import { addressesOf } from './clusters.ts';
import { parseConstraint, placementText } from './commands/placement.ts';
import { explain } from './explain.ts';
import { FrameReader } from './frames.ts';
import { paintFor } from './paint.ts';
import { renderFacts, renderTable } from './table.ts';
import { agoText, cpuText, durationText, parseCpu, parseSize, sizeText } from './units.ts';

const plain = paintFor({ isTTY: false }, {});

test('columns are aligned, the last one is not padded, and no row is no line too many', () => {
  const rows = [
    ['web.1', { text: 'up', colour: 'green' as const }, ''],
    ['worker.12', { text: 'failed', colour: 'red' as const }, 'exit 1; restart 4 in 8 s'],
  ];
  assert.equal(
    renderTable(['NAME', 'STATE', 'REASON'], rows, plain),
    `NAME       STATE   REASON
web.1      up
worker.12  failed  exit 1; restart 4 in 8 s
`,
  );
});

test('colour does not move a column, and is there only for a terminal that wants it', () => {
  const rows = [[{ text: 'up', colour: 'green' as const }, 'x']];
  const painted = renderTable(['STATE', 'A'], rows, paintFor({ isTTY: true }, {}));
  assert.ok(painted.includes('\u001b[32mup\u001b[0m     x\n'), painted);
  for (const env of [{ NO_COLOR: '1' }, { TERM: 'dumb' }])
    assert.equal(
      renderTable(['A'], rows, paintFor({ isTTY: true }, env)).includes('\u001b'),
      false,
    );
});

test('text from elsewhere cannot break a line or move the cursor', () => {
  assert.equal(renderTable(['A'], [['a\nb\u001b[2Jc']], plain), 'A\na b [2Jc\n');
});

test('facts without a value are left out', () => {
  assert.equal(
    renderFacts(
      [
        ['Name', 'shop'],
        ['Commit', ''],
        ['', 'more'],
      ],
      plain,
    ),
    'Name  shop\n      more\n',
  );
});

test('durations have one unit', () => {
  const texts = [0, 59_999, 60_000, 3_599_999, 3_600_000, 47 * 3_600_000, 48 * 3_600_000];
  assert.deepEqual(texts.map(durationText), [
    '0 s',
    '59 s',
    '1 min',
    '59 min',
    '1 h',
    '47 h',
    '2 d',
  ]);
  assert.equal(agoText(10_000, 10_500), 'just now');
  assert.equal(durationText(-5), '0 s');
});

test('sizes are read as Docker reads them, and shown in the same units', () => {
  assert.equal(parseSize('512M', 'memory'), 512 * 1024 ** 2);
  assert.equal(parseSize('1.5GiB', 'memory'), 1.5 * 1024 ** 3);
  assert.equal(parseSize('1gb', 'memory'), 1024 ** 3);
  assert.equal(parseSize('4096', 'memory'), 4096);
  assert.equal(sizeText(1.5 * 1024 ** 3), '1.5 GiB');
  assert.equal(sizeText(512 * 1024 ** 2), '512 MiB');
  for (const text of ['', 'x', '1 potato', '-1M'])
    assert.throws(() => parseSize(text, 'memory'), { code: 'cli.usage' });
});

test('processors are thousandths, or with a point whole ones', () => {
  assert.equal(parseCpu('500'), 500);
  assert.equal(parseCpu('500m'), 500);
  assert.equal(parseCpu('1.5'), 1500);
  assert.equal(cpuText(250), '0.25 cpu');
  for (const text of ['0', '', 'x', '-1', '0.0001']) assert.throws(() => parseCpu(text));
});

const cluster: Cluster = {
  name: 'home',
  url: 'http://api.gantry.localhost',
  gitUrl: 'http://git.gantry.localhost',
  domain: 'gantry.localhost',
  token: 't',
  address: '127.0.0.1',
};

const explained: [string, AppError, RegExp, number][] = [
  [
    'an API that is not there',
    new AppError(
      'core.unreachable',
      { status: 503, retry: true },
      'GET /apps at http://api.gantry.localhost: connect ECONNREFUSED 127.0.0.1:80',
    ),
    /^cannot reach the API at http:\/\/api.gantry.localhost \(at 127.0.0.1\): connect ECONNREFUSED 127.0.0.1:80; is Gantry running there\?/,
    5,
  ],
  [
    'a certificate of an unknown authority',
    new AppError(
      'core.unreachable',
      { status: 503, retry: true },
      'GET /apps at http://api.gantry.localhost: self-signed certificate in certificate chain',
    ),
    /self-signed certificate in certificate chain; name its authority: `gantry login URL --ca FILE`$/,
    5,
  ],
  [
    'an answer that was lost on its way',
    new AppError(
      'core.unreachable',
      { status: 502, retry: true },
      'POST /cluster/restore: answered 502: controller.gantry: the instance closed the connection\n',
    ),
    /^the answer of http:.* to POST \/cluster\/restore was lost \(answered 502: controller.gantry: .* connection\): it may have been carried out, or not. Look before you ask again: `gantry events`/,
    5,
  ],
  [
    'a change whose connection broke on its way',
    new AppError(
      'core.unreachable',
      { status: 503, retry: true },
      'POST /apps at http://api.gantry.localhost: socket hang up',
    ),
    /to POST \/apps was lost \(socket hang up\): it may have been carried out, or not/,
    5,
  ],
  [
    'a change that was not answered in time',
    new AppError(
      'core.timeout',
      { status: 504, retry: true },
      'DELETE /apps/x: no answer within 10000 ms',
    ),
    /to DELETE \/apps\/x was lost \(no answer within 10000 ms\): it may have been carried out/,
    5,
  ],
  [
    'a look that was not answered',
    new AppError(
      'core.unreachable',
      { status: 502, retry: true },
      'GET /apps: answered 502: controller.gantry: the instance closed the connection\n',
    ),
    /^the answer of http:.* was lost \(answered 502: .*\): ask again; `gantry cluster status`/,
    5,
  ],
  [
    'a store on etcd that does not answer the API',
    new AppError(
      'core.unreachable',
      { status: 503, retry: true },
      '/etcdserverpb.KV/Range at https://10.0.0.2:7444: The pending stream has been canceled (caused by: connect ECONNREFUSED 10.0.0.2:7444)',
    ),
    /^the store of the cluster does not answer \(connect ECONNREFUSED 10.0.0.2:7444\): nothing is decided until it does, .*`gantry cluster status`/,
    5,
  ],
  [
    'a store on etcd without a quorum',
    new AppError(
      'store.unavailable',
      { status: 503, retry: true },
      'get controller/tokens/3c09: the etcd member https://10.0.0.1:7444 answered: etcdserver: no leader',
    ),
    /^the store of the cluster does not answer \(https:\/\/10.0.0.1:7444 answered: etcdserver: no leader\): nothing/,
    5,
  ],
  [
    'a store on another machine that is away',
    new AppError(
      'core.unreachable',
      { status: 503, retry: true },
      'GET /store/keys/controller at https://host-1:7443: connect ECONNREFUSED 10.0.0.1:7443',
    ),
    /^the store of the cluster does not answer \(connect ECONNREFUSED 10.0.0.1:7443\): nothing/,
    5,
  ],
  [
    'somebody else behind the URL',
    new AppError(
      'core.unreachable',
      { status: 404, retry: false },
      'GET /apps: answered 404: <html>no</html>',
    ),
    /answered what is no API of Gantry \(answered 404: <html>no<\/html>\)/,
    5,
  ],
  [
    'a machine that is left alone, without the API',
    new AppError(
      'core.unreachable',
      { status: 503, retry: true },
      'GET /cluster: answered 503: No instance of controller.gantry is up.',
    ),
    /^the router of http:\/\/api.gantry.localhost \(at 127.0.0.1\) answers, and no machine that has the API does: apps run on/,
    5,
  ],
  [
    'a token that is revoked',
    new AppError('controller.unauthorized', { status: 401, retry: false }, 'not known'),
    /refused the token of cluster home: not known; `gantry login`/,
    4,
  ],
  [
    'an app that is not there',
    new AppError(
      'controller.appNotFound',
      { status: 404, retry: false },
      'there is no app named x',
    ),
    /^there is no app named x$/,
    3,
  ],
  [
    'a value that the API does not take',
    new AppError(
      'core.invalid',
      { status: 400, retry: false },
      'querystring is not valid: signal must be one of SIGTERM,SIGKILL',
    ),
    /^the API refused that: signal must be one of SIGTERM,SIGKILL$/,
    2,
  ],
  [
    'a bug of this tool',
    new AppError('core.internal', { status: 500, retry: false }, 'unexpected failure: boom'),
    /this is a bug: GANTRY_DEBUG=1 shows where/,
    1,
  ],
];
for (const [what, error, sentence, exitCode] of explained)
  test(`${what} is explained in a sentence, with its own exit code`, () => {
    const explanation = explain(error, cluster);
    assert.match(explanation.sentence, sentence);
    assert.equal(explanation.exitCode, exitCode);
  });

test('the addresses of a cluster follow from the URL of its API', () => {
  assert.deepEqual(addressesOf('https://api.apps.example.com:8443/'), {
    url: 'https://api.apps.example.com:8443',
    gitUrl: 'https://git.apps.example.com:8443',
    domain: 'apps.example.com',
  });
  assert.equal(addressesOf('http://api.gantry.localhost').address, '127.0.0.1');
  assert.throws(() => addressesOf('apps.example.com'), { code: 'cli.usage' });
});

function frame(stream: number, text: string): Buffer {
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([header, Buffer.from(text)]);
}

test('frames come apart into the two outputs wherever they are cut', () => {
  const bytes = Buffer.concat([frame(1, 'out'), frame(2, ''), frame(2, 'err'), frame(1, '!')]);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const reader = new FrameReader();
    const pieces = [bytes.subarray(0, cut), bytes.subarray(cut)].flatMap((part) =>
      reader.read(part),
    );
    const said = (isError: boolean) =>
      pieces.filter((piece) => piece.isError === isError).map(({ data }) => String(data));
    assert.equal(said(false).join(''), 'out!');
    assert.equal(said(true).join(''), 'err');
  }
});

test('bytes that are no frames are refused, not shown', () => {
  assert.throws(() => new FrameReader().read(Buffer.from('hello world')), { code: 'cli.failed' });
});

test('where a process may run is said in a word, and shown as it was said', () => {
  for (const text of ['disk=ssd', 'zone=a,b', 'zone!=c', 'gpu', '!gpu'])
    assert.equal(placementText({ constraints: [parseConstraint(text)] }), `spread, where ${text}`);
  for (const text of ['', '=ssd', '!zone=a', 'a b'])
    assert.throws(() => parseConstraint(text), { code: 'cli.usage' });
});
