// Is `gantry run` in a terminal like a shell on this machine? The program sees a terminal of the person's size, gets the person's
// keys, Ctrl-C too, and ends with its own exit code; a terminal that is closed, or a client that is killed, leaves no container.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { LoadApp } from './cluster/load-app.ts';
import { Platform } from './cluster/platform.ts';
import { Terminal } from './cluster/terminal.ts';
import { waitFor } from './cluster/wait.ts';

const platform = Platform.connect();
const { machine } = platform;
const run = 'gantry run -a terminal';

let app: LoadApp;
before(async () => {
  app = await LoadApp.create(platform, 'terminal', 1);
});
after(async () => {
  await app?.close();
});

/** Names of the containers of one-offs that run. */
async function oneOffs(): Promise<string[]> {
  const names = Object.keys(await platform.containers(app.name));
  return names.filter((name) => name.startsWith('run.'));
}

async function untilNoneIsLeft(): Promise<void> {
  let left: string[] = [];
  const isGone = async () => {
    left = await oneOffs();
    return left.length === 0;
  };
  await waitFor('no one-off to run', isGone, { seen: () => left });
}

describe('gantry run in a terminal', () => {
  test('is a terminal to the program: size, a new size, echo, Ctrl-C, exit code', async () => {
    const line = `${run} bash; code=$?; stty -a | grep -ow -e '-*icanon' -e '-*echo'; exit $code`;
    const terminal = new Terminal(machine, line, { rows: 30, cols: 100 });
    await terminal.shows('$ ');
    terminal.press('tty; stty size\n');
    await terminal.shows('tty; stty size');
    await terminal.shows('/dev/pts/');
    await terminal.shows('30 100');
    terminal.press(
      'until [ "$(stty size)" = "41 120" ]; do sleep 0.05; done; echo new-$((40+1))\n',
    );
    await terminal.shows('do sleep');
    await terminal.resize(41, 120);
    await terminal.shows('new-41');
    terminal.press('echo now-$((1+1)); sleep 1000; echo slept-$((1+1))\n');
    await terminal.shows('now-2');
    terminal.press('\u0003');
    terminal.press('echo next-$((1+2))\n');
    await terminal.shows('next-3');
    terminal.press('exit 7\n');
    // The terminal is the person's again, as it was.
    await terminal.shows('icanon');
    await terminal.shows('echo');
    assert.equal(await terminal.ends(), 7);
    await untilNoneIsLeft();
  });

  test('has its terminal to itself: Ctrl-C ends a program that does not take it, with its code', async () => {
    const terminal = new Terminal(machine, `${run} -- sh -c 'echo be""gins; exec sleep 1000'`);
    await terminal.shows('begins');
    terminal.press('\u0003');
    assert.equal(await terminal.ends(), 130);
    await untilNoneIsLeft();
  });

  test('that is closed like a window ends the shell in it', async () => {
    const terminal = new Terminal(machine, `exec ${run} bash`);
    await terminal.shows('$ ');
    assert.equal((await oneOffs()).length, 1);
    await terminal.close();
    await untilNoneIsLeft();
    await terminal.ends();
  });

  test('that is closed tells a program so by SIGHUP, and leaves it time to clean up', async () => {
    const program =
      'trap "echo told-$((1+1)); exit" HUP; echo be""gins; while :; do sleep 0.1; done';
    const terminal = new Terminal(machine, `exec ${run} -- sh -c '${program}'`);
    await terminal.shows('begins');
    const [name = ''] = await oneOffs();
    await terminal.close();
    await untilNoneIsLeft();
    const said = () => platform.gantry('log', '-a', app.name, '-i', name, '--raw');
    await waitFor('its last words', async () => (await said()).includes('told-2'));
    await terminal.ends();
  });

  test('whose client is killed leaves no container of a program that ignores its input', async () => {
    const line = `echo $$ >/tmp/terminal.pid; exec ${run} -- sh -c 'echo be""gins; exec sleep 1000'`;
    const terminal = new Terminal(machine, line);
    await terminal.shows('begins');
    assert.equal((await oneOffs()).length, 1);
    await machine.must('kill -9 "$(cat /tmp/terminal.pid)"; rm /tmp/terminal.pid');
    await untilNoneIsLeft();
    await terminal.ends();
  });
});

test('gantry run with pipes whose terminal is closed ends what it runs too', async () => {
  const line = `echo $$ >/tmp/terminal.pid; exec ${run} -T -- sh -c 'echo be""gins; exec sleep 1000'`;
  const terminal = new Terminal(machine, line);
  await terminal.shows('begins');
  await terminal.close();
  await untilNoneIsLeft();
  await terminal.ends();
});
