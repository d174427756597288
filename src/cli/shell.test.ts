// The tool as the shell and git see it: completion, credentials, and the real process.

import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { scripts } from './commands/completion.ts';
import { FakeApi, lines, TestHome, token } from './test-bed.ts';

let api: FakeApi;
let home: TestHome;
before(async () => {
  api = await FakeApi.start();
  home = new TestHome(api);
  api
    .on('GET /apps', { items: [{ name: 'shop' }, { name: 'blog' }] })
    .on('GET /apps/shop/env', { env: { LOG_LEVEL: '***', URL: '***' } })
    .on('GET /apps/shop/routes', {
      items: [{ domain: 'a.example.com', path: '/api' }, { port: 3432 }],
    })
    .on('GET /apps/shop/jobs', {
      items: [
        { name: 'web.1', state: 'up' },
        { name: 'run.1', state: 'down' },
      ],
    });
});
after(async () => {
  home.remove();
  await api.stop();
});

const candidates: [string[], string[]][] = [
  [['de'], ['delete', 'deploy', 'deployment']],
  [
    ['env', ''],
    ['get', 'set', 'unset'],
  ],
  [['releases:'], ['releases:info', 'releases:rollback', 'releases:show']],
  [['deploy', '--r'], ['--release']],
  [
    ['ps', '-a', ''],
    ['blog', 'shop'],
  ],
  [['ps', '--app', 's'], ['shop']],
  [['env', 'get', '-a', 'shop', 'L'], ['LOG_LEVEL']],
  [['kill', '-a', 'shop', ''], ['web.1']],
  [['kill', '-a', 'shop', 'web.1', '-s', 'K'], ['KILL']],
  [['log', '-a', 'shop', '-i', ''], ['web.1']],
  [['strategy', 'in'], ['in-batches=']],
  [['priority', 'h'], ['high']],
  [
    ['route', 'remove', '-a', 'shop', ''],
    ['3432', 'a.example.com/api'],
  ],
  [['kill', '-a', 'nope', ''], []],
  [
    ['completion', ''],
    ['bash', 'fish', 'zsh'],
  ],
  [['xyzzy', ''], []],
];
for (const [words, expected] of candidates)
  test(`after \`gantry ${words.join(' ')}\` can come ${expected.join(', ') || 'nothing'}`, async () => {
    const { code, stdout, stderr } = await home.gantry(['__complete', '--', ...words]);
    assert.deepEqual([code, stdout.split('\n').filter(Boolean), stderr], [0, expected, '']);
  });

test('completion without a cluster is quiet and has what needs none', async () => {
  const env = { GANTRY_CONFIG: '/nonexistent' };
  assert.equal((await home.gantry(['__complete', '--', 'ps', '-a', ''], { env })).stdout, '');
  assert.equal((await home.gantry(['__complete', '--', 'sc'], { env })).stdout, 'scale\n');
});

for (const shell of ['bash', 'zsh', 'fish']) {
  const isThere = spawnSync(shell, ['-c', 'true']).status === 0;
  test(`the completion script for ${shell} is one that it can read`, {
    skip: isThere ? false : `${shell} is not on this machine`,
  }, () => {
    const file = join(home.folder, `gantry.${shell}`);
    writeFileSync(file, scripts[shell] ?? '');
    const check = spawnSync(shell, ['-n', file], { encoding: 'utf8' });
    assert.deepEqual([check.status, check.stderr], [0, '']);
  });
}

test('bash completes through the script, also behind a colon', () => {
  const complete = (line: string) => {
    // As bash calls it: words cut at colons, the cursor at the end.
    const words = line.split(/(:)|\s+/).filter((word) => word !== undefined);
    const script = `
      gantry() { [[ "$1 $2" == "__complete --" ]] || exit 9; printf '%s\\n' "\${@:3}" >&2; printf 'env:set\\n'; }
      ${scripts.bash}
      COMP_LINE='${line}'; COMP_POINT=\${#COMP_LINE}
      COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=$(( \${#COMP_WORDS[@]} - 1 ))
      _gantry; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return execFileSync('bash', ['-c', script], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  };
  assert.equal(complete('gantry env:s'), 'set\n');
  assert.equal(complete('gantry env:'), 'set\n');
  assert.equal(complete('gantry en'), 'env:set\n');
});

/** Scripts that press the tab key behind a line: a `gantry` that writes down what it was asked and answers `env:set`. */
const pressTab: Record<string, (line: string) => string> = {
  fish: (line) => `
    function gantry; printf '<%s>' $argv > $ASKED; echo env:set; end
    ${scripts.fish}
    complete --do-complete '${line}'`,
  // What zsh's own system does around it is left out: it calls by name, with the words and the place of the cursor.
  zsh: (line) => `
    compdef() { registered="$*"; }
    compadd() { while [[ "$1" == -* ]]; do shift; done; print -l -- "$@"; }
    gantry() { printf '<%s>' "$@" > $ASKED; print env:set; }
    ${scripts.zsh}
    [[ "$registered" == "_gantry gantry" ]] || exit 9
    words=(${line
      .split(' ')
      .map((word) => `'${word}'`)
      .join(' ')}); CURRENT=$#words
    _gantry`,
};
for (const [shell, script] of Object.entries(pressTab)) {
  const isThere = spawnSync(shell, ['-c', 'true']).status === 0;
  test(`${shell} completes through the script`, {
    skip: isThere ? false : `${shell} is not on this machine`,
  }, () => {
    const flags = shell === 'fish' ? ['--no-config'] : ['-f'];
    for (const line of ['gantry en', 'gantry env ', 'gantry env:s', 'gantry env -a shop ']) {
      const ASKED = join(home.folder, `asked-${shell}`);
      const env = { ...process.env, ASKED };
      const options = { encoding: 'utf8', env } as const;
      const { status, stdout, stderr } = spawnSync(shell, [...flags, '-c', script(line)], options);
      const words = line.split(' ').slice(1);
      const asked = ['__complete', '--', ...words].map((word) => `<${word}>`).join('');
      // fish itself leaves out what does not begin with what was typed.
      const fits = shell === 'zsh' || 'env:set'.startsWith(words.at(-1) ?? '');
      assert.deepEqual([status, stdout, stderr], [0, fits ? 'env:set\n' : '', ''], line);
      assert.equal(readFileSync(ASKED, 'utf8'), asked);
    }
  });
}

test('every completion script asks the tool itself, and is for that command alone', () => {
  const registers = {
    bash: 'complete -F _gantry gantry',
    zsh: 'compdef _gantry gantry',
    fish: 'complete --command gantry ',
  };
  assert.deepEqual(Object.keys(scripts), Object.keys(registers));
  for (const [shell, line] of Object.entries(registers)) {
    const script = scripts[shell] ?? '';
    assert.ok(script.includes(line), shell);
    assert.equal(script.match(/gantry __complete -- .*2> \/dev\/null/g)?.length, 1, shell);
  }
});

test('git gets the token for the git host of a cluster, and for no other', async () => {
  const ask = async (host: string, protocol = 'http', operation = 'get') => {
    const stdin = `protocol=${protocol}\nhost=${host}\npath=shop.git\n\n`;
    return await home.gantry(['git-credentials', operation], { stdin });
  };
  const host = `git.gantry.localhost:${api.port}`;
  const answer = { code: 0, stdout: `username=gantry\npassword=${token}\n`, stderr: '' };
  assert.deepEqual(await ask(host), answer);
  const nothing = { code: 0, stdout: '', stderr: '' };
  for (const other of ['git.gantry.localhost', 'github.com', `${host}.evil.example.com`, ''])
    assert.deepEqual(await ask(other), nothing, other);
  assert.deepEqual(await ask(host, 'https'), nothing);
  assert.deepEqual(await ask(host, 'http', 'store'), nothing);
  assert.deepEqual(await ask(host, 'http', 'erase'), nothing);
});

const entry = new URL('../../bin/gantry.mjs', import.meta.url).pathname;

function start(...words: string[]) {
  const env = { ...process.env, GANTRY_CONFIG: home.configFile, XDG_CACHE_HOME: home.folder };
  return spawn(process.execPath, [entry, ...words], { env, stdio: ['ignore', 'pipe', 'pipe'] });
}

test('Ctrl-C ends the process with 130 and without a word', async () => {
  api.on('GET /apps/shop/log', (_call: unknown, response: import('node:http').ServerResponse) => {
    response.write(
      `${JSON.stringify({ time: 'x', instance: 'web.1', text: 'hello', job: 'j' })}\n`,
    );
    return new Promise(() => undefined);
  });
  const child = start('log', '-f', '-a', 'shop');
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  await once(child.stdout, 'data');
  child.kill('SIGINT');
  const [code] = (await once(child, 'exit')) as [number | null];
  assert.deepEqual([code, stderr], [130, '']);
});

test('a reader that goes away ends the process without a word', async () => {
  const many = Array.from({ length: 20_000 }, (_, index) => ({
    time: '2026-01-02T00:00:00Z',
    instance: 'web.1',
    job: 'j',
    stream: 'stdout',
    text: `line ${index} ${'x'.repeat(100)}`,
  }));
  api.on('GET /apps/shop/log', lines(...many));
  const child = start('log', '-a', 'shop');
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  await once(child.stdout, 'data');
  child.stdout.destroy();
  const [code] = (await once(child, 'exit')) as [number | null];
  assert.deepEqual([code, stderr], [0, '']);
});
