// Gantry as it comes, on the machines of the bed: an app whose one process type only waits.

import { type Bed, untilServes } from '../../test/cluster/bed.ts';
import { connectApi } from '../../test/cluster/load-app.ts';
import { waitFor } from '../../test/cluster/wait.ts';
import { platformMemory } from '../platform/memory.ts';
import { theApi, untilAnswersAtEach } from '../platform/power.ts';
import { type Contender, figureNames, hangMs, sleeper } from './contender.ts';

const name = 'bench-swarm';

export async function createGantry(bed: Bed): Promise<Contender> {
  const api = await connectApi(bed.platform);
  let version = 0;
  const remove = async () => {
    await bed.platform.deleteApp(name);
    const isGone = async () => !(await api.listApps()).some((app) => app.name === name);
    await waitFor('the app to be gone', isGone, { timeoutMs: hangMs });
  };
  return {
    name: 'Gantry',
    figures: figureNames,
    label: `gantry.app-name=${name}`,
    machines: bed.machines,
    async begin() {
      await remove();
      await api.createApp({ name });
      await api.scale(name, { worker: 0 });
      const image = 'gantry/stack:latest';
      await api.deploy(name, { image, processes: { worker: { entrypoint: sleeper } } });
      const isIdle = async () => (await api.listDeployments(name)).every(({ endedAt }) => endedAt);
      await waitFor('the first release to be there', isIdle, { timeoutMs: hangMs });
    },
    async replicas(count) {
      await taken('the formation', () => api.scale(name, { worker: count }));
    },
    async update() {
      const { release } = await taken('a release', () => {
        version += 1;
        return api.changeEnv(name, { set: { VERSION: String(version) } });
      });
      return ({ Labels }) => Labels['gantry.release'] === release.id;
    },
    async untilMember(machine) {
      await bed.untilAllUp(hangMs);
      await untilServes(machine);
    },
    async untilServes() {
      await untilAnswersAtEach(bed.machines, performance.now(), theApi);
    },
    megabytes: async (machine) => (await platformMemory(machine)).megabytes,
    async end() {
      await remove();
      api.close();
    },
  };
}

/** When a machine is back, the controller that took over there ends, and calls on their way to it with it: asked again. */
function taken<T>(what: string, call: () => Promise<T>): Promise<T> {
  let seen: unknown;
  const answered = () =>
    call().catch((error: Error) => {
      seen = error.message;
      return undefined;
    });
  return waitFor(`the API to take ${what}`, answered, { timeoutMs: 60_000, seen: () => seen });
}
