// Docker Swarm mode on the engines that Gantry runs on, while Gantry rests. The machines' power goes off between the two, so
// that neither finds anything of the other; what Gantry's containers restart by is taken from them and given back.

import type { Bed } from '../../test/cluster/bed.ts';
import type { Machine } from '../../test/cluster/machine.ts';
import { waitFor } from '../../test/cluster/wait.ts';
import { callEngine } from '../platform/session.ts';
import { type Contender, type FigureName, figureNames, hangMs, sleeper } from './contender.ts';

/** As Swarm comes, and as somebody sets it who wants failures to be short and updates to be quick. */
export interface Tuning {
  name: string;
  figures: readonly FigureName[];
  heartbeat: string;
  restartDelay: string;
  /** Options of the service for a rolling update. */
  update: string;
}

const asItComes = { heartbeat: '5s', restartDelay: '5s' };

export const tunings: readonly Tuning[] = [
  { name: 'Swarm', figures: figureNames, ...asItComes, update: '' },
  {
    name: 'Swarm, start-first',
    figures: ['update'],
    ...asItComes,
    update: '--update-order start-first',
  },
  {
    name: 'Swarm, tuned',
    figures: ['start', 'crash', 'power', 'cable', 'update'],
    heartbeat: '1s',
    restartDelay: '0s',
    update: '--update-order start-first --update-parallelism 3',
  },
];

const service = 'bench';
const network = 'bench';
/** Nothing listens there: the engine gives up pulling at once and takes the image that it has. */
const image = '127.0.0.1:9/bench';
const source = 'gantry/stack:latest';
const daemonFile = '/etc/docker/daemon.json';
const keptFile = `${daemonFile}.before-bench`;
/** Names of the containers that start with the engine. */
const restartingFile = '/root/bench-swarm-restarting';
const command = sleeper.map((word) => `'${word}'`).join(' ');

/** Megabytes (PSS) of dockerd on a machine before it was in a swarm. */
export type Baseline = ReadonlyMap<Machine, number>;

export function createSwarm(bed: Bed, tuning: Tuning, baseline: Baseline): Contender {
  const [manager] = bed.machines as [Machine, ...Machine[]];
  let version = 1;
  const untilReady = async () => {
    const isReady = async () => {
      const states = await nodeStates(manager);
      return states.length === bed.machines.length && states.every((state) => state === 'ready');
    };
    await waitFor('every node to be ready', isReady, { timeoutMs: hangMs, everyMs: 25 });
  };
  return {
    name: tuning.name,
    figures: tuning.figures,
    label: `com.docker.swarm.service.name=${service}`,
    machines: bed.machines,
    async begin() {
      version = 1;
      await manager.must(`docker swarm update --dispatcher-heartbeat ${tuning.heartbeat}`);
      await manager.must(`docker service create -d -q --no-resolve-image --name ${service} \
        --network ${network} --endpoint-mode dnsrr --restart-delay ${tuning.restartDelay} \
        ${tuning.update} --replicas 0 ${image}:1 ${command}`);
    },
    async replicas(count) {
      await change(manager, (spec) => {
        spec.Mode.Replicated.Replicas = count;
      });
    },
    async update() {
      version = 3 - version;
      const wanted = `${image}:${version}`;
      await change(manager, (spec) => {
        spec.TaskTemplate.ContainerSpec.Image = wanted;
      });
      return ({ Image }) => Image === wanted;
    },
    untilMember: untilReady,
    untilServes: untilReady,
    async megabytes(machine) {
      return (await engineMegabytes(machine)) - (baseline.get(machine) ?? 0);
    },
    async end() {
      // It may be what failed.
      await manager.sh(`docker service rm ${service}`);
    },
  };
}

/** What is changed of a service; the rest of it goes back as it came. */
interface ServiceSpec {
  Mode: { Replicated: { Replicas: number } };
  TaskTemplate: { ContainerSpec: { Image: string } };
}

/** By the engine's API, as Gantry is asked by its own: the start of a command line is in neither's time. */
async function change(manager: Machine, edit: (spec: ServiceSpec) => void): Promise<void> {
  const socketPath = manager.path('/run/docker.sock');
  const path = `/services/${service}`;
  const { Version, Spec } = await callEngine<{ Version: { Index: number }; Spec: ServiceSpec }>({
    socketPath,
    method: 'GET',
    path,
  });
  edit(Spec);
  const update = `${path}/update?version=${Version.Index}`;
  await callEngine({ socketPath, method: 'POST', path: update, body: Spec });
}

/** None while the manager does not answer. */
async function nodeStates(manager: Machine): Promise<string[]> {
  const socketPath = manager.path('/run/docker.sock');
  const call = { socketPath, method: 'GET', path: '/nodes' };
  const nodes = await callEngine<{ Status: { State: string } }[]>(call).catch(() => []);
  return nodes.map(({ Status }) => Status.State);
}

/** Gantry rests, and the engines form a swarm. */
export async function makeSwarm(bed: Bed): Promise<Baseline> {
  const [manager, ...workers] = bed.machines as [Machine, ...Machine[]];
  const imageId = (await manager.must(`docker image inspect -f '{{.Id}}' ${source}`)).trim();
  const baseline = new Map<Machine, number>();
  for (const machine of bed.machines) {
    await machine.must(`set -e
      for tag in 1 2; do docker tag ${imageId} ${image}:$tag; done
      docker ps -aq | xargs docker inspect -f '{{.HostConfig.RestartPolicy.Name}} {{.Name}}' \
        | sed -n 's,^always /,,p' >${restartingFile}
      cp ${daemonFile} ${keptFile}
      xargs docker update --restart=no <${restartingFile}
      echo '{ "live-restore": false }' >${daemonFile}`);
    await machine.reboot();
    baseline.set(machine, await engineMegabytes(machine));
  }
  await manager.must(`docker swarm init --advertise-addr ${manager.address}`);
  const token = (await manager.must('docker swarm join-token -q worker')).trim();
  for (const machine of workers)
    await machine.must(`docker swarm join --token ${token} ${manager.address}:2377`);
  await manager.must(`docker network create -d overlay ${network}`);
  return baseline;
}

/** The engines are as they were, and Gantry goes on. Machines that were not in a swarm are left alone. */
export async function endSwarm(machines: readonly Machine[]): Promise<void> {
  const put = machines.map(async (machine) => {
    await machine.heal();
    if (!machine.isOn) await machine.boot();
    if ((await machine.sh(`test -e ${keptFile}`)).code !== 0) return;
    await machine.sh(`docker swarm leave --force; docker network rm docker_gwbridge
      docker rmi ${image}:1 ${image}:2
      for table in filter nat; do
        iptables-save -t $table | sed -n 's/^-A \\(.* DOCKER-INGRESS\\)$/-D \\1/p' \
          | while read -r rule; do iptables -t $table $rule; done
        iptables -t $table -F DOCKER-INGRESS; iptables -t $table -X DOCKER-INGRESS
      done`);
    await machine.must(`set -e
      xargs docker update --restart=always <${restartingFile}
      mv ${keptFile} ${daemonFile}; rm ${restartingFile}`);
    await machine.reboot();
  });
  const reasons = (await Promise.allSettled(put)).flatMap((end) =>
    end.status === 'rejected' ? [String(end.reason)] : [],
  );
  if (reasons.length > 0) throw new Error(`a machine was not put back: ${reasons.join('; ')}`);
}

async function engineMegabytes(machine: Machine): Promise<number> {
  const pss = `awk '/^Pss:/{sum+=$2} END{print sum}' /proc/$(cat /var/run/docker.pid)/smaps_rollup`;
  return Number(await machine.must(pss)) / 1024;
}
