// The platform under test: Gantry on the test machine that `test/cluster/run.ts` brought up, and what a test does with it.

import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { Machine, type Output } from './machine.ts';
import { waitFor } from './wait.ts';

/** Where the checkout is on the machine. */
export const checkout = '/opt/gantry';

/** One machine serves all files of a run; another number keeps runs beside each other apart. Its Debian brings its engine. */
export function theMachine(): Machine {
  const number = Number(process.env.GANTRY_TEST_MACHINE ?? '1');
  const suite = process.env.GANTRY_TEST_SUITE ?? 'bookworm';
  if (suite !== 'bookworm' && suite !== 'trixie')
    throw new Error(`GANTRY_TEST_SUITE is ${suite}: set it to bookworm or trixie`);
  return new Machine({ number, suite });
}

export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: string;
}

export class Platform {
  readonly machine: Machine;

  constructor(machine: Machine) {
    this.machine = machine;
  }

  /** The running platform; says how to get one when there is none. */
  static connect(): Platform {
    const machine = theMachine();
    if (!machine.isOn)
      throw new Error(
        'no test machine is up: run `npm run test:cluster` (or test/cluster/run.ts --keep)',
      );
    return new Platform(machine);
  }

  /** `gantry ...` as root on the machine; a failure throws with what it printed. */
  gantry(...args: string[]): Promise<string> {
    return this.machine.must(`gantry ${args.map(quote).join(' ')}`);
  }

  /** The same without throwing. */
  tryGantry(...args: string[]): Promise<Output> {
    return this.machine.sh(`gantry ${args.map(quote).join(' ')}`);
  }

  async gantryJson<T>(...args: string[]): Promise<T> {
    return JSON.parse(await this.gantry(...args, '--json')) as T;
  }

  /** Makes an app out of files and pushes it with git. The output of the push. */
  async push(app: string, files: Record<string, string>, branch = 'main'): Promise<Output> {
    const folder = `/tmp/push-${app}`;
    const write = Object.entries(files).map(
      ([name, text]) =>
        `mkdir -p "$(dirname '${name}')" && base64 -d >'${name}' <<'E'\n${Buffer.from(text).toString('base64')}\nE`,
    );
    await this.machine.must(
      [
        `mkdir -p ${folder} && cd ${folder}`,
        `[ -d .git ] || git init -q -b main`,
        `find . -mindepth 1 -maxdepth 1 -not -name .git -exec rm -rf {} +`,
        ...write,
        `git remote get-url gantry >/dev/null 2>&1 || gantry create ${app}`,
        `git add -A && git -c user.name=t -c user.email=t@localhost commit -qm change --allow-empty`,
      ].join('\n'),
    );
    return this.machine.sh(`cd ${folder} && git push gantry HEAD:${branch}`, {
      timeoutMs: 300_000,
    });
  }

  /** A request through the machine's router, from outside of it. */
  ask(
    app: string,
    options: { path?: string; method?: string; headers?: Record<string, string> } = {},
  ): Promise<Answer> {
    const headers = { host: `${app}.gantry.localhost`, ...options.headers };
    return new Promise((resolve, reject) => {
      const call = request(
        {
          host: this.machine.address,
          port: 80,
          path: options.path ?? '/',
          method: options.method ?? 'GET',
          headers,
          timeout: 15_000,
        },
        (response) => {
          let body = '';
          response.setEncoding('utf8').on('data', (text: string) => {
            body += text;
          });
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
          );
          response.on('error', reject);
        },
      );
      call.on('timeout', () => call.destroy(new Error(`${app} did not answer within 15 s`)));
      call.on('error', reject);
      call.end();
    });
  }

  /** Waits until the app answers 200, with a body that contains `text` when given. */
  async untilAnswers(app: string, text = '', timeoutMs = 120_000): Promise<Answer> {
    let seen: unknown;
    return waitFor(
      `${app} to answer${text ? ` with ${text}` : ''}`,
      async () => {
        const answer = await this.ask(app).catch((error: Error) => ({
          status: 0,
          headers: {},
          body: error.message,
        }));
        seen = { status: answer.status, body: answer.body.slice(0, 200) };
        return answer.status === 200 && answer.body.includes(text) ? answer : undefined;
      },
      { timeoutMs, everyMs: 100, seen: () => seen },
    );
  }

  /** Container ids and start times of an app's running containers, by `type.index`. */
  async containers(
    app: string,
  ): Promise<Record<string, { id: string; startedAt: string; pid: number }>> {
    const ids = `docker ps -q --no-trunc --filter label=gantry.app-name=${app}`;
    const format = `{{index .Config.Labels "gantry.type"}}.{{index .Config.Labels "gantry.index"}} {{.Id}} {{.State.StartedAt}} {{.State.Pid}}`;
    const text = await this.machine.must(`${ids} | xargs -r docker inspect --format '${format}'`);
    const rows = text
      .trim()
      .split('\n')
      .filter(Boolean)
      .map((line) => line.split(' '));
    return Object.fromEntries(
      rows.map(([name, id = '', startedAt = '', pid]) => [
        name,
        { id, startedAt, pid: Number(pid) },
      ]),
    );
  }

  async deleteApp(app: string): Promise<void> {
    await this.tryGantry('delete', '-a', app, '--yes');
    await this.machine.sh(`rm -rf /tmp/push-${app}`);
  }
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A small app without dependencies that says who it is; `release` changes its answer. */
export async function sampleFiles(release = ''): Promise<Record<string, string>> {
  const folder = join(import.meta.dirname, '../../examples/hello-node');
  const files: Record<string, string> = {};
  const { readdir } = await import('node:fs/promises');
  for (const name of await readdir(folder))
    files[name] = await readFile(join(folder, name), 'utf8');
  return release ? { ...files, RELEASE: release } : files;
}
