// The platform's own processes as a test sees them from the machine: where they are, and what shows that they work.

import type { Platform } from './platform.ts';
import { waitFor } from './wait.ts';

/** Process types of app `gantry`. */
export const systemTypes = ['controller', 'git-receiver', 'logs', 'proxy', 'router'];
const hangMs = 120_000;

/** Waits until every process of the platform runs and its API, logs and git answer: what is asked next must work. */
export async function untilPlatformWorks(platform: Platform): Promise<void> {
  await waitFor(
    'every system process to run',
    async () => Object.keys(await platform.containers('gantry')).length === systemTypes.length,
    { timeoutMs: hangMs },
  );
  for (const command of [
    'gantry ps -a hello',
    'gantry log -a hello -n 1',
    "git -c credential.helper='!gantry git-credentials' ls-remote http://git.gantry.localhost/hello.git",
  ]) {
    let seen: unknown;
    const works = async () => {
      const output = await platform.machine.sh(command);
      seen = output;
      return output.code === 0;
    };
    await waitFor(`${command} to work`, works, { timeoutMs: hangMs, seen: () => seen });
  }
}

/** The first process of a container of the platform: `gantry-host`, `gantry-dns`, or a type of app `gantry`. */
export async function processOf(platform: Platform, name: string): Promise<{ pid: number }> {
  if (name.startsWith('gantry-')) {
    const pid = await platform.machine.must(`docker inspect -f '{{.State.Pid}}' ${name}`);
    return { pid: Number(pid) };
  }
  const found = (await platform.containers('gantry'))[`${name}.1`];
  if (!found) throw new Error(`no ${name} runs`);
  return found;
}

/** Does the app's own service `web` answer by name inside of one of its containers? */
export async function nameAnswers(platform: Platform, app: string): Promise<boolean> {
  const [container] = Object.values(await platform.containers(app));
  if (!container) return false;
  const lookUp = `require('node:dns').lookup('web', (error) => process.exit(error ? 1 : 0))`;
  const { code } = await platform.machine.sh(`docker exec ${container.id} node -e "${lookUp}"`);
  return code === 0;
}
