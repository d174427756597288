// Verdicts on refs, tokens and repositories, case by case.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { planCollection } from './collect-repositories.ts';
import { tokenFrom } from './credentials.ts';
import { judgePush } from './judge-push.ts';

const zero = '0'.repeat(40);
const commit = 'a'.repeat(40);

test('a push of main deploys its new commit', () => {
  const verdict = judgePush([{ oldId: zero, newId: commit, ref: 'refs/heads/main' }]);
  assert.deepEqual(verdict, { kind: 'deploy', commit, branch: 'main' });
});

test('one ref that cannot be taken refuses the whole push', () => {
  const main = { oldId: zero, newId: commit, ref: 'refs/heads/main' };
  for (const ref of ['refs/heads/mainly', 'refs/tags/main', 'HEAD', 'refs/heads/\x1b[31m'])
    assert.equal(judgePush([main, { oldId: zero, newId: commit, ref }]).kind, 'refuse', ref);
  assert.equal(judgePush([{ ...main, newId: zero }]).kind, 'refuse');
  assert.equal(judgePush([]).kind, 'refuse');
});

test('a refusal repeats no control character of a ref', () => {
  const verdict = judgePush([{ oldId: zero, newId: commit, ref: 'refs/heads/\x1b[31mred' }]);
  assert.ok(verdict.kind === 'refuse' && !verdict.reason.includes('\x1b'));
});

describe('the token', () => {
  const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;

  test('is the password whoever the user is, the user where there is no password, or a bearer', () => {
    assert.equal(tokenFrom(basic('any:secret')), 'secret');
    assert.equal(tokenFrom(basic('any:with:colons')), 'with:colons');
    assert.equal(tokenFrom(basic('secret:')), 'secret');
    assert.equal(tokenFrom(basic('secret')), 'secret');
    assert.equal(tokenFrom('bearer secret'), 'secret');
  });

  test('is nothing in a header that is malformed, huge or cannot be sent on', () => {
    for (const header of [undefined, '', 'Basic', 'Digest x', basic(':'), basic('a:b\r\nx: y')])
      assert.equal(tokenFrom(header), undefined);
    assert.equal(tokenFrom(`Bearer ${'x'.repeat(2000)}`), undefined);
  });
});

describe('a repository without its app', () => {
  const base = { repositories: ['app-1', 'app-2'], graceMs: 100 };

  test('goes only after it was missing for a while, and a return resets that', () => {
    const first = planCollection({ ...base, apps: ['app-1'], missingSince: new Map(), nowMs: 0 });
    assert.deepEqual(first.remove, []);
    const { missingSince } = first;
    const early = planCollection({ ...base, apps: ['app-1'], missingSince, nowMs: 99 });
    assert.deepEqual(early.remove, []);
    const late = planCollection({ ...base, apps: ['app-1'], missingSince, nowMs: 100 });
    assert.deepEqual(late.remove, ['app-2']);
    const back = planCollection({ ...base, apps: ['app-1', 'app-2'], missingSince, nowMs: 100 });
    assert.deepEqual([back.remove, back.missingSince.size], [[], 0]);
  });

  test('stays when the answer knows no app at all', () => {
    const missingSince = new Map([['app-1', 0]]);
    const plan = planCollection({ ...base, apps: [], missingSince, nowMs: 10_000 });
    assert.deepEqual(plan.remove, []);
  });
});
