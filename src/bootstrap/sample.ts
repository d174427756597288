// The sample app, deployed the way any user would: create, commit, `git push`, ask for its page.

import { cp, mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from './command.ts';
import { bootstrapErrors } from './errors.ts';
import type { Machine } from './machine-file.ts';
import type { Progress } from './progress.ts';
import type { Person } from './user.ts';

export const sampleApp = 'hello';

export interface SampleOptions {
  checkout: string;
  machine: Machine;
  person: Person;
  progress: Progress;
  /** The program's environment: HOME is replaced by the person's. */
  env: Record<string, string | undefined>;
}

export async function deploySample(options: SampleOptions): Promise<void> {
  const { checkout, progress, person } = options;
  const folder = await mkdtemp(join(tmpdir(), 'gantry-sample-'));
  const env = { ...options.env, HOME: person.home, GIT_TERMINAL_PROMPT: '0' };
  try {
    await cp(join(checkout, 'examples/hello-node'), folder, { recursive: true });
    const inFolder = { cwd: folder, env };
    const git = (...args: string[]) => run('git', args, inFolder);
    await git('init', '--quiet', '--initial-branch=main');
    await run('gantry', ['create', sampleApp], inFolder);
    await git('add', '.');
    await git(
      '-c',
      'user.name=Gantry',
      '-c',
      'user.email=gantry@localhost',
      'commit',
      '--quiet',
      '-m',
      'A first app',
    );
    await progress.step('pushing the sample app with git', (detail) =>
      run('git', ['push', '--quiet', 'gantry', 'main'], { ...inFolder, onOutput: detail }),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The answer of the app through the router, as a browser would see it. */
export async function askSample(machine: Machine): Promise<string> {
  const host = `${sampleApp}.${machine.domain}`;
  return new Promise((resolve, reject) => {
    const call = request(
      { host: '127.0.0.1', port: machine.httpPort, headers: { host }, timeout: 10_000 },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => {
          if (response.statusCode === 200) return resolve(text.trim());
          reject(
            bootstrapErrors.timeout(
              `${host} answered ${response.statusCode}: ${text.slice(0, 200)}`,
            ),
          );
        });
      },
    );
    call.on('timeout', () =>
      call.destroy(bootstrapErrors.timeout(`${host} did not answer in 10 s`)),
    );
    call.on('error', reject);
    call.end();
  });
}
