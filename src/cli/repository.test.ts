// Which app and cluster a folder means, from real repositories and from odd configuration files.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Cluster } from './clusters.ts';
import { findApp, findRepository, isOn, nameOfFolder, parseRemotes } from './repository.ts';

const root = mkdtempSync(join(tmpdir(), 'gantry-repository-'));
after(() => rmSync(root, { recursive: true, force: true }));

/** No start of git: the file itself must be enough. */
const withoutGit = { PATH: '/nonexistent' };
const withGit = { PATH: process.env.PATH, GIT_CONFIG_GLOBAL: '/dev/null' };

function git(folder: string, ...args: string[]): void {
  const author = ['-c', 'user.name=a', '-c', 'user.email=a@b'];
  execFileSync('git', [...author, ...args], { cwd: folder, stdio: 'pipe', env: withGit });
}

let count = 0;
function aRepository(...remotes: [name: string, url: string][]): string {
  const folder = join(root, `r${count++}`);
  mkdirSync(folder);
  git(folder, 'init', '-q', '-b', 'main');
  for (const [name, url] of remotes) git(folder, 'remote', 'add', name, url);
  return folder;
}

function aCluster(domain: string): Cluster {
  const name = domain;
  return { name, url: `http://api.${domain}`, gitUrl: `http://git.${domain}`, domain, token: 't' };
}

const [here, there] = [aCluster('gantry.localhost'), aCluster('apps.example.com')];

test('the app is found from a folder deep inside of the repository, without starting git', async () => {
  const folder = aRepository(
    ['origin', 'git@example.com:me/shop.git'],
    ['gantry', 'http://git.gantry.localhost/shop.git'],
  );
  const deep = join(folder, 'a/b');
  mkdirSync(deep, { recursive: true });
  const found = await findRepository({ cwd: deep, env: withoutGit });
  assert.equal(found?.folder, folder);
  assert.deepEqual(found?.remotes, [
    { name: 'origin', url: 'git@example.com:me/shop.git' },
    { name: 'gantry', url: 'http://git.gantry.localhost/shop.git' },
  ]);
});

test('a linked work tree has the remotes of its repository', async () => {
  const folder = aRepository(['gantry', 'http://git.gantry.localhost/shop.git']);
  git(folder, 'commit', '-q', '--allow-empty', '-m', 'x');
  const linked = join(root, 'linked');
  git(folder, 'worktree', 'add', '-q', linked);
  const found = await findRepository({ cwd: linked, env: withoutGit });
  assert.equal(found?.remotes[0]?.url, 'http://git.gantry.localhost/shop.git');
});

test('a configuration with rewritten URLs is read by git itself', async () => {
  const folder = aRepository(['gantry', 'http://git.gantry.localhost/shop.git']);
  git(folder, 'config', 'url.http://git.gantry.localhost/.insteadOf', 'g:');
  const found = await findRepository({ cwd: folder, env: withGit });
  assert.deepEqual(found?.remotes, [
    { name: 'gantry', url: 'http://git.gantry.localhost/shop.git' },
  ]);
});

test('outside of a repository there is none', async () => {
  assert.equal(await findRepository({ cwd: root, env: withoutGit }), undefined);
});

test('files that only git understands are left to it', () => {
  assert.equal(parseRemotes('[include]\n path = x'), undefined);
  assert.equal(parseRemotes('[includeIf "gitdir:x"]\n path = x'), undefined);
  assert.equal(parseRemotes('[remote "a"]\n url = "quoted"'), undefined);
  assert.deepEqual(parseRemotes('[REMOTE "a"]\n\tURL=http://x\n[branch "b"]\n url = y'), [
    { name: 'a', url: 'http://x' },
  ]);
});

test('the remote gantry says the app and the cluster, whichever cluster is current', () => {
  const remotes = [{ name: 'gantry', url: 'http://git.apps.example.com/shop.git' }];
  assert.deepEqual(findApp(remotes, [here, there]), {
    app: 'shop',
    cluster: there,
    remote: remotes[0],
  });
});

test('a remote of another name counts when it is on a git host that is known', () => {
  const remotes = [
    { name: 'origin', url: 'https://example.com/me/code.git' },
    { name: 'production', url: 'http://user@git.gantry.localhost/shop' },
  ];
  assert.equal(findApp(remotes, [here])?.app, 'shop');
  assert.equal(findApp(remotes, [there]), undefined);
});

test('remotes of two apps and none called gantry: a person must say which', () => {
  const remotes = [
    { name: 'staging', url: 'http://git.gantry.localhost/shop-staging.git' },
    { name: 'production', url: 'http://git.gantry.localhost/shop.git' },
  ];
  assert.throws(() => findApp(remotes, [here]), {
    code: 'cli.noApp',
    message: /staging \(shop-staging\), production \(shop\); say which with -a/,
  });
});

test('a git host is another one with another port or scheme', () => {
  assert.equal(isOn('http://git.x:80/a.git', 'http://git.x'), true);
  assert.equal(isOn('http://git.x:8080/a.git', 'http://git.x'), false);
  assert.equal(isOn('https://git.x/a.git', 'http://git.x'), false);
  assert.equal(isOn('http://git.x.evil/a.git', 'http://git.x'), false);
  assert.equal(isOn('git@git.x:a.git', 'http://git.x'), false);
});

test('a folder gives the name that an app may have', () => {
  assert.equal(nameOfFolder('/srv/My Shop_2'), 'my-shop-2');
  assert.equal(nameOfFolder('/srv/2048'), undefined);
  assert.equal(nameOfFolder(`/srv/${'x'.repeat(40)}`), 'x'.repeat(30));
});
