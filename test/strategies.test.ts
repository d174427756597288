// Does each strategy do what it promises? Under load, with the order in which processes were made and stopped as the proof: all new
// ones before any old one goes, or so many at a time; and a release that fails under either goes back without a lost request.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { JobView } from '#layer1/controller/wire';
import { failuresOf, LoadApp, type LoadKind, MixedLoad, requestsOf } from './cluster/load-app.ts';
import { Platform } from './cluster/platform.ts';
import { waitFor } from './cluster/wait.ts';

const platform = Platform.connect();
const wanted = 4;
const light: LoadKind[] = [
  { mode: 'keep-alive', clients: 3, pauseMs: 10 },
  { mode: 'close', clients: 1, pauseMs: 20, method: 'POST', body: 'order=1' },
];

let app: LoadApp;
before(async () => {
  app = await LoadApp.create(platform, 'strategies', wanted);
});
after(async () => {
  await app?.close();
});

interface Rollout {
  /** Every look at the app's web processes, oldest first. */
  looks: JobView[][];
  code: number;
  stdout: string;
  stderr: string;
  /** Releases that answered. */
  answered: string[];
}

/** Runs the command under load and looks at the processes all the while; no request may fail. */
async function underLoad(command: () => Promise<{ code: number; stdout: string; stderr: string }>) {
  const load = new MixedLoad(platform.machine.address, app.name, light);
  const looks: JobView[][] = [];
  let isOver = false;
  const look = async () => {
    looks.push((await app.api.listJobs(app.name)).filter(({ type }) => type === 'web'));
    return isOver;
  };
  // A token may call a hundred times a second.
  const watching = waitFor('the command to end', look, { everyMs: 25, timeoutMs: 300_000 });
  try {
    await waitFor('the load to be on', () => load.requests > 20);
    const output = await command();
    isOver = true;
    await watching;
    const reports = await load.stop();
    assert.deepEqual(failuresOf(reports), []);
    assert.ok(requestsOf(reports) > 0);
    return { ...output, looks, answered: Object.keys(load.take().answers) } as Rollout;
  } finally {
    isOver = true;
    await watching;
    await load.stop();
  }
}

const isServing = ({ state, isHealthy }: JobView) => state === 'up' && isHealthy;
const setRound = (round: string) => () =>
  platform.tryGantry('env', 'set', '-a', app.name, `ROUND=${round}`);

/** The processes of the release that ran in the end, in the order in which they were made. */
function newest({ looks }: Rollout): JobView[] {
  const last = looks.at(-1) ?? [];
  const version = Math.max(...last.map((job) => job.version));
  return last.filter((job) => job.version === version).sort((a, b) => a.createdAt - b.createdAt);
}

function requireNeverFewer({ looks }: Rollout): void {
  const serving = looks.map((jobs) => jobs.filter(isServing).length);
  assert.ok(Math.min(...serving) >= wanted, `serving processes at each look: ${serving.join(' ')}`);
}

/** Ids of the containers, when those of earlier releases are gone. */
function onlyWanted(): Promise<string[]> {
  return waitFor('no other containers to run', async () => {
    const ids = Object.values(await platform.containers(app.name)).map(({ id }) => id);
    return ids.length === wanted ? ids.sort() : undefined;
  });
}

describe('all-at-once', () => {
  before(async () => {
    const said = await platform.gantry('strategy', 'all-at-once', '-a', app.name);
    assert.equal(said, 'strategies: all-at-once\n');
  });

  test('makes all new processes at once, and stops no old one before all of them serve', async () => {
    const rollout = await underLoad(setRound('all'));
    assert.equal(rollout.code, 0, rollout.stderr);
    requireNeverFewer(rollout);
    const made = newest(rollout);
    assert.equal(made.length, wanted);
    const firstStart = Math.min(...made.map(({ startedAt = 0 }) => startedAt));
    for (const { name, createdAt } of made) assert.ok(createdAt <= firstStart, `${name} was late`);
    for (const jobs of rollout.looks) {
      const served = jobs.filter((job) => job.version === made[0]?.version && isServing(job));
      const old = jobs.filter((job) => job.version !== made[0]?.version && isServing(job));
      if (old.length < wanted) assert.equal(served.length, wanted, JSON.stringify(jobs));
    }
    const steps = stepsOf(rollout.stdout);
    // All of the old ones may go between two looks of the command.
    assert.match(steps, /^up up up up( stops){0,4}$/);
  });

  test('that fails goes back: the old processes were never touched, the command says why', async () => {
    const before = await onlyWanted();
    const { currentVersion } = await app.api.readApp(app.name);
    const set = () => platform.tryGantry('env', 'set', '-a', app.name, 'BREAK=exit');
    const rollout = await underLoad(set);
    assert.equal(rollout.code, 1);
    assert.match(rollout.stderr, /failed 3 times: .*exit 7/);
    requireNeverFewer(rollout);
    assert.deepEqual(rollout.answered, [`v${currentVersion}`]);
    assert.deepEqual(await onlyWanted(), before);
    const shown = await platform.gantry('deployment', 'show', '-a', app.name);
    assert.match(shown, /^State +failed$/m);
    assert.match(shown, /^Strategy +all-at-once$/m);
    assert.match(shown, /^Reason .*failed 3 times: .*exit 7/m);
  });
});

describe('in-batches', () => {
  before(async () => {
    const said = await platform.gantry('strategy', 'in-batches=2', '-a', app.name);
    assert.equal(said, 'strategies: in-batches=2\n');
  });

  test('makes two at a time, and the next two when these serve', async () => {
    const rollout = await underLoad(setRound('batches'));
    assert.equal(rollout.code, 0, rollout.stderr);
    requireNeverFewer(rollout);
    const [first, second, third, fourth] = newest(rollout);
    assert.ok(first && second && third && fourth);
    const started = ({ startedAt = 0 }: JobView) => startedAt;
    assert.ok(second.createdAt <= started(first), 'the first two were made together');
    assert.ok(third.createdAt >= Math.max(started(first), started(second)), 'the third waited');
    assert.ok(fourth.createdAt <= started(third), 'the last two were made together');
    for (const jobs of rollout.looks) {
      const old = jobs.filter((job) => job.version < first.version && isServing(job));
      const made = jobs.filter((job) => job.version === first.version);
      assert.ok(made.length <= wanted - old.length + 2, JSON.stringify(jobs));
    }
  });

  test('that fails at its second batch goes back, and what had been stopped is there again', async () => {
    // A process that is still going has a number that is free by the time of the deploy.
    const jobs = await waitFor('no other processes to be listed', async () => {
      const listed = await app.api.listJobs(app.name);
      return listed.length === wanted && listed;
    });
    const taken = new Set(jobs.map(({ name }) => name));
    const names = Array.from({ length: 9 }, (_, index) => `web.${index + 1}`);
    const firstBatch = names.filter((name) => !taken.has(name)).slice(0, 2);
    const { currentVersion = 0 } = await app.api.readApp(app.name);
    const script = await readFile(join(import.meta.dirname, 'load/app.js'), 'utf8');
    const breaking = `if (!${JSON.stringify(firstBatch)}.includes(process.env.GANTRY_PROCESS)) process.exit(7);\n`;
    const rollout = await underLoad(async () => {
      const { id } = await app.deploy({ entrypoint: ['node', '-e', breaking + script] });
      return platform.tryGantry('deployment', 'show', id, '-f', '-a', app.name);
    });
    assert.equal(rollout.code, 1, rollout.stdout);
    assert.match(rollout.stderr, /failed 3 times: .*exit 7/);
    requireNeverFewer(rollout);
    const isOfNew = (job: JobView) => job.version === currentVersion + 1;
    const served = rollout.looks.map((all) => all.filter((job) => isOfNew(job) && isServing(job)));
    assert.equal(
      Math.max(...served.map(({ length }) => length)),
      2,
      'the first batch, and no more',
    );
    const ofOld = async () => {
      const now = await app.api.listJobs(app.name);
      return now.length === wanted && now.every((job) => job.version === currentVersion);
    };
    await waitFor('only the old release to run', ofOld);
    await platform.untilAnswers(app.name);
  });
});

/** `up` and `stops` in the order in which the command told of them. */
function stepsOf(stdout: string): string {
  const steps = stdout.matchAll(/web\.\d+ (?:is (up)|of the old release (stops))/g);
  return [...steps].map(([, up, stops]) => up ?? stops).join(' ');
}
