// Does a build that takes too long, or a source that is too large, end with a sentence for the pusher, and leave nothing? The limits
// are settings of the platform, changed by the command that an operator has for it.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { checkout, Platform } from './cluster/platform.ts';
import { waitFor } from './cluster/wait.ts';

const platform = Platform.connect();
const { machine } = platform;
const app = 'limits';
const settings = { GANTRY_BUILD_TIMEOUT_MS: '8000', GANTRY_BUILD_MAX_SOURCE_BYTES: '1500000' };

const up = (values: Record<string, string>) => {
  const options = Object.entries(values).map(([name, value]) => `--set ${name}=${value}`);
  return machine.must(`cd ${checkout} && script/up ${options.join(' ')}`, { timeoutMs: 600_000 });
};

before(async () => {
  await platform.deleteApp(app);
  const said = await up(settings);
  assert.match(said, /^Set: GANTRY_BUILD_TIMEOUT_MS=8000 GANTRY_BUILD_MAX_SOURCE_BYTES=1500000 /m);
});
after(async () => {
  await platform.deleteApp(app);
  const said = await up(Object.fromEntries(Object.keys(settings).map((name) => [name, ''])));
  assert.doesNotMatch(said, /^Set: /m);
});

/** No build runs, nothing of its source lies about, no image and no release was made, and the branch is where it was. */
async function requireNothingLeft(): Promise<void> {
  const { id } = await platform.gantryJson<{ id: string }>('info', '-a', app);
  const questions = {
    builds: 'docker ps -q --filter label=gantry.type=build',
    source: `docker exec $(docker ps -q --filter label=gantry.type=controller) ls /tmp`,
    images: `docker images -q --filter label=gantry.app=${id}`,
    branches: `git -C /tmp/push-${app} ls-remote gantry`,
  };
  const left: Record<string, string> = {};
  const isClean = async () => {
    for (const [what, command] of Object.entries(questions))
      left[what] = (await machine.sh(command)).stdout.trim();
    return Object.values(left).every((text) => text === '');
  };
  await waitFor('nothing to be left', isClean, { seen: () => left });
  assert.deepEqual(await platform.gantryJson('release', '-a', app), []);
}

const refused = { 'with a buildpack': 'package.json', 'with a Dockerfile': 'Dockerfile' };
for (const [how, file] of Object.entries(refused))
  test(`a build ${how} that takes too long is ended, and git says so`, async () => {
    const content = {
      'package.json': JSON.stringify({ name: app, scripts: { build: 'sleep 600' } }),
      Dockerfile: 'FROM gantry/stack:latest\nRUN sleep 600\n',
    }[file];
    const push = await platform.push(app, { [file]: content ?? '' });
    assert.equal(push.code, 1, push.stderr);
    assert.match(push.stderr, /The build of limits took longer than 8 s and was ended/);
    assert.match(push.stderr, /Nothing has changed/);
    assert.match(push.stderr, /remote rejected/);
    await requireNothingLeft();
  });

test('a source that is too large is refused before anything is built', async () => {
  // More than git sends in one piece, and nothing that compresses.
  const noise = `head -c 2500000 /dev/urandom >/tmp/push-${app}/noise`;
  await platform.push(app, { 'index.html': 'small' }, 'elsewhere');
  const commit = 'git add -A && git -c user.name=t -c user.email=t@localhost commit -qm large';
  await machine.must(`${noise} && cd /tmp/push-${app} && ${commit}`);
  const push = await machine.sh(`cd /tmp/push-${app} && git push gantry HEAD:main`);
  assert.equal(push.code, 1, push.stderr);
  assert.match(push.stderr, /The source is larger than 1\.4 MB: keep large files out/);
  await requireNothingLeft();
});
