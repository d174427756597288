// `npm run cluster -- --size 3`: a real cluster on this machine, to try things on: bare machines with dockerds and addresses of
// their own, joined as a person would. Ctrl-C removes every trace. While it runs, from another terminal:
//   npm run cluster -- shell 2      a root shell on the second machine
//   npm run cluster -- off 2        pulls its plug; on, cut (its cable), heal likewise
//   npm run cluster -- down         removes what a run left that was killed

import { once } from 'node:events';
import { access, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { parseArgs } from 'node:util';

// Beside the machines of the tests of this checkout.
process.env.GANTRY_TEST_MACHINE = '9';
const { Bed, keptMachines } = await import('./bed.ts');
const { bringUp, destroyAll } = await import('./bring-up.ts');
const { theMachine } = await import('./platform.ts');

const project = join(import.meta.dirname, '../..');
const folder = join(project, '.tmp', 'cluster');
const configFile = join(folder, 'config.json');
const largest = 9;
const needed = ['mmdebstrap', 'ip', 'iptables', 'docker-init', 'nsenter', 'mkfs.ext4', 'git'];

type Machine = ReturnType<typeof theMachine>;

const verbs: Record<string, (machine: Machine) => Promise<unknown>> = {
  off: (machine) => machine.powerOff(),
  on: (machine) => machine.boot(),
  cut: (machine) => machine.cut(),
  heal: (machine) => machine.heal(),
  shell: async (machine) => {
    const shell = machine.spawn(['bash', '-l'], {
      stdio: 'inherit',
      env: { TERM: process.env.TERM ?? 'dumb' },
    });
    process.exitCode = Number((await once(shell, 'exit'))[0]);
  },
};

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { size: { type: 'string', default: '3' } },
  });
  const [verb, place] = positionals;
  if (verb === undefined) return serve(Number(values.size));
  if (verb === 'down') return end();
  const act = verbs[verb];
  if (act && place === undefined)
    throw new Error(`which machine? npm run cluster -- ${verb} N, 1 is the first`);
  const machine = (await machines())[Number(place) - 1];
  if (act && machine) return void (await act(machine));
  if (act) throw new Error(`there is no machine ${place}: \`npm run cluster\` makes them`);
  throw new Error(
    `npm run cluster -- [--size 1-${largest} | ${Object.keys(verbs).join('|')} N | down]`,
  );
}

async function serve(size: number): Promise<void> {
  if (!(Number.isInteger(size) && size >= 1 && size <= largest))
    throw new Error(`--size is a number from 1 to ${largest}`);
  await demandTools();
  if (theMachine().isOn)
    throw new Error(
      'a cluster of this checkout runs already: end it, or `npm run cluster -- down`',
    );
  const told = Promise.withResolvers<void>();
  let isEnding = false;
  // Waiting for a signal keeps no process alive.
  const awake = setInterval(() => undefined, 60_000);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => {
      if (!isEnding) console.log('\nRemoving the cluster ...');
      isEnding = true;
      told.resolve();
    });
  const starting = start(size);
  try {
    await Promise.race([starting, told.promise]);
    await told.promise;
  } finally {
    // Without its machine what is under way fails soon; it may have begun to make another one by then.
    await end();
    await starting.catch(() => undefined);
    await end();
    clearInterval(awake);
  }
  console.log('It is gone.');
}

async function start(size: number): Promise<void> {
  console.log('The first machine: a bare Debian, and script/up on it. That takes some minutes.');
  await bringUp({ isFresh: true });
  if (size > 1) console.log(`\nscript/up --join on ${size - 1} more: a minute or two.\n`);
  const bed = await Bed.of(size);
  await writeConfig(bed.platform.machine);
  console.log(await guide(bed.machines));
}

async function end(): Promise<void> {
  await destroyAll();
  await rm(folder, { recursive: true, force: true });
  await rm(join(project, '.tmp', `up-${theMachine().name}.log`), { force: true });
}

async function machines(): Promise<Machine[]> {
  const first = theMachine();
  return first.isKept ? [first, ...(await keptMachines())] : [];
}

/** For `gantry` on this machine: the first machine's, with an address instead of a name that leads to loopback. */
async function writeConfig(first: Machine): Promise<void> {
  const path = join(first.root, 'root/.config/gantry/config.json');
  const config = JSON.parse(await readFile(path, 'utf8')) as { clusters: Record<string, object> };
  const clusters = Object.entries(config.clusters).map(([name, cluster]) => [
    name,
    { ...cluster, address: first.address },
  ]);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const text = JSON.stringify({ ...config, clusters: Object.fromEntries(clusters) });
  await writeFile(configFile, text, { mode: 0o600 });
}

async function guide(all: readonly Machine[]): Promise<string> {
  const rows = all.map(
    ({ name, address }, place) => `  ${place + 1}  ${name.padEnd(12)} http://${address}/`,
  );
  const [first, second = first] = all;
  return `${rows.join('\n')}

Any of them answers for any app, by its name:
  curl --connect-to ::${second?.address} http://hello.gantry.localhost/

The command of this checkout, against it:
  export GANTRY_CONFIG=${configFile} PATH=${join(project, 'node_modules/.bin')}:$PATH
  alias gantry='node ${join(project, 'bin/gantry.ts')}'
  gantry host list
  gantry scale web=${all.length * 2} -a hello && gantry ps -a hello

From another terminal:
  npm run cluster -- shell 1        root on the first: there git push works as on any machine with Gantry
  npm run cluster -- off ${all.length}          pulls its plug; watch \`gantry ps -a hello\`, then: on ${all.length}
  npm run cluster -- cut ${all.length}          pulls its cable; then: heal ${all.length}

Ctrl-C removes all of it.`;
}

async function demandTools(): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error('a cluster of machines needs root');
  const missing = [];
  for (const tool of needed) if (!(await isThere(tool))) missing.push(tool);
  if (missing.length > 0)
    throw new Error(`missing: ${missing.join(', ')}. script/test installs what is missing.`);
}

async function isThere(tool: string): Promise<boolean> {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  for (const one of folders)
    if (
      await access(join(one, tool)).then(
        () => true,
        () => false,
      )
    )
      return true;
  return false;
}

await main().catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
