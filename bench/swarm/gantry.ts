// Gantry as it comes, on the machines of the bed: an app whose one process type only waits.

import { type Bed, untilServes } from '../../test/cluster/bed.ts';
import { connectApi } from '../../test/cluster/load-app.ts';
import { waitFor } from '../../test/cluster/wait.ts';
import { platformMemory } from '../platform/memory.ts';
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
      await api.scale(name, { worker: count });
    },
    async update() {
      version += 1;
      const { release } = await api.changeEnv(name, { set: { VERSION: String(version) } });
      return ({ Labels }) => Labels['gantry.release'] === release.id;
    },
    async untilMember(machine) {
      await bed.untilAllUp(hangMs);
      await untilServes(machine);
    },
    megabytes: async (machine) => (await platformMemory(machine)).megabytes,
    async end() {
      await remove();
      api.close();
    },
  };
}
