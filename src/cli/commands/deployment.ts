// `gantry deployment`, `deployment show`

import type { Deployment } from '#layer1/controller/client';
import type { Call, Connection } from '../command.ts';
import { cliErrors } from '../errors.ts';
import { followDeployment } from '../follow-deployment.ts';
import { stateColour } from '../paint.ts';
import { agoText, dateText, durationText } from '../units.ts';

export async function listDeployments(call: Call): Promise<undefined> {
  const { out, args, io } = call;
  const { api, app } = await call.target();
  const deployments = await api.listDeployments(app);
  if (args.has('json')) return out.json(deployments);
  if (deployments.length === 0) return out.note(`Nothing of ${app} was rolled out yet.`);
  const now = io.clock.now();
  out.table(
    ['ID', 'RELEASE', 'STATE', 'WHEN', 'TOOK', 'REASON'],
    deployments.map((deployment) => [
      deployment.id,
      changeText(deployment),
      { text: deployment.state, colour: stateColour(deployment.state) },
      agoText(deployment.createdAt, now),
      tookText(deployment, now),
      deployment.reason ?? '',
    ]),
  );
}

function changeText({ oldVersion, newVersion }: Deployment): string {
  return oldVersion === undefined ? `v${newVersion}` : `v${oldVersion} -> v${newVersion}`;
}

function tookText({ createdAt, endedAt }: Deployment, now: number): string {
  return `${durationText((endedAt ?? now) - createdAt)}${endedAt === undefined ? ' so far' : ''}`;
}

export async function showDeployment(call: Call): Promise<number | undefined> {
  const { out, args, io } = call;
  const target = await call.target();
  const deployment = await findDeployment(target, args.words[0]);
  if (args.has('follow')) return await followDeployment(call, target, deployment);
  if (args.has('json')) return out.json(deployment);
  const { id, state, strategy, batchSize, createdAt, endedAt, reason } = deployment;
  const now = io.clock.now();
  out.facts([
    ['Deployment', id],
    ['Release', changeText(deployment)],
    ['State', { text: state, colour: stateColour(state) }],
    ['Reason', reason ?? ''],
    ['Strategy', strategy === 'in-batches' ? `in batches of ${batchSize}` : strategy],
    ['Started', `${agoText(createdAt, now)} (${dateText(createdAt)})`],
    ['Took', tookText(deployment, now)],
    ...(endedAt === undefined
      ? [['Last step', agoText(deployment.progressAt, now)] as const]
      : [['Ended', dateText(endedAt)] as const]),
  ]);
  return undefined;
}

async function findDeployment(
  { api, app }: Connection & { app: string },
  id: string | undefined,
): Promise<Deployment> {
  if (id !== undefined) return await api.readDeployment(app, id);
  const [newest] = await api.listDeployments(app);
  if (newest) return newest;
  throw cliErrors.notFound(`nothing of ${app} was rolled out yet`);
}
