// Waits for parts of the platform to come up, and when one does not, says which and where its log is.

import { readFile } from 'node:fs/promises';
import { systemClock } from '#core/clock';
import { hasCode, toAppError } from '#core/errors';
import { createHttpClient } from '#core/http-client';
import { systemRandom } from '#core/random';
import { retry } from '#core/retry';
import type { OwnContainers } from '#layer0/host/index';
import { type Host, hostKey } from '#layer0/host/wire';
import type { Store } from '#layer0/store/client';
import { type CopyState, readProgress, type Wanted } from '#layer0/upgrade/client';
import { type Deployment, deploymentKey } from '#layer1/controller/wire';
import { hostName } from './containers.ts';
import { bootstrapErrors } from './errors.ts';
import { hasController } from './install.ts';
import type { Machine } from './machine-file.ts';
import { systemAppId } from './system-app.ts';
import type { CliCluster } from './user.ts';

const limitMs = 120_000;
/** From start to an answer, with the store reached; a machine at its limits is slow. */
const daemonLimitMs = 90_000;
/** Longer than a copy that does not serve takes to be put back. */
const copyLimitMs = 240_000;
/** A daemon that starts may end once or twice, say when the engine is slow to answer it. */
const mostEnds = 2;
/** Each of the other machines has an image to fetch, and a daemon that may have to be put back. */
const othersLimitMs = 900_000;
/** The controller ends every deployment by itself; a version that never gets healthy takes minutes, there and back. */
const deploymentLimitMs = 900_000;

/** A leader that lost its store while the daemon was replaced campaigns again within this. */
const leaderlessMs = 20_000;

export async function waitUntil<T>(
  what: string,
  hint: string,
  attempt: () => Promise<T>,
  deadlineMs = limitMs,
): Promise<T> {
  const options = {
    minMs: 50,
    maxMs: 300,
    deadlineMs,
    clock: systemClock,
    random: systemRandom,
  };
  const asRetry = (cause: unknown) => {
    const text = cause instanceof Error ? cause.message : String(cause);
    return bootstrapErrors.timeout(`${what} within ${deadlineMs / 1000} s: ${text}. ${hint}`, {
      cause,
    });
  };
  return retry(async () => {
    try {
      return await attempt();
    } catch (cause) {
      // Whoever answers with a refusal is up: waiting changes nothing.
      if (toAppError(cause).status === 401 || hasCode(cause, 'bootstrap.command')) throw cause;
      throw asRetry(cause);
    }
  }, options);
}

/**
 * Until the daemon of this version answers and has reached the store. One that ends by itself again and again is not
 * waited for: the machine counts as lost soon after its daemon is gone.
 */
export async function waitForDaemon(
  engine: OwnContainers,
  { home, hostId }: Pick<Machine, 'home' | 'hostId'>,
  version: string,
): Promise<void> {
  const client = createHttpClient({ baseUrl: `unix:${home}/run/host.sock`, timeoutMs: 2000 });
  const hint =
    'See `docker logs gantry-host`; on a machine that joined: is the port of the peer door open on every machine?';
  const look = async () => {
    const ends = (await engine.find(hostName))?.restarts ?? 0;
    if (ends > mostEnds) throw bootstrapErrors.command(`it ended ${ends} times`);
    const status = await client.json<{ version: string }>('GET', '/status');
    if (status.version !== version)
      throw bootstrapErrors.timeout(`version ${status.version} answers`);
    const query = { key: hostKey(hostId) };
    const { entry } = await client.json<{ entry?: { value: Host } }>('GET', '/store/entry', {
      query,
    });
    if (entry?.value.version !== version)
      throw bootstrapErrors.timeout('the store does not have this machine at this version');
  };
  try {
    await waitUntil(
      `the host daemon of version ${version} did not answer`,
      hint,
      look,
      daemonLimitMs,
    );
  } finally {
    client.close();
  }
}

/** Until the copy of the store on this machine, where it has one, is of this version. Why it waits for machines that are away. */
export async function waitForCopy({ home }: Pick<Machine, 'home'>): Promise<string | undefined> {
  const client = createHttpClient({ baseUrl: `unix:${home}/run/host.sock`, timeoutMs: 5000 });
  const look = async () => {
    const { renewal } = await client.json<{ renewal?: CopyState }>('GET', '/ha/member');
    const { state = 'settled', reason = '' } = renewal ?? {};
    if (state === 'failed') throw bootstrapErrors.command(reason);
    if (state === 'running') throw bootstrapErrors.timeout(reason);
    return state === 'held-up' ? reason : undefined;
  };
  try {
    const hint = 'See `docker logs gantry-etcd` and `gantry cluster status`.';
    return await waitUntil('etcd was not brought to this version', hint, look, copyLimitMs);
  } finally {
    client.close();
  }
}

export async function waitForRunning(engine: OwnContainers, name: string): Promise<void> {
  await waitUntil(`${name} did not start`, `See \`docker logs ${name}\`.`, async () => {
    if (!(await engine.find(name))?.isRunning) throw bootstrapErrors.timeout('it does not run');
  });
}

/** Until the daemons of the other machines have this version. The names of those that are silent now and follow later. */
export async function waitForOthers(
  store: Store,
  wanted: Wanted,
  detail: (text: string) => void,
): Promise<string[]> {
  const hint = 'See `docker logs gantry-host` there, and `docker logs gantry-replace`.';
  const look = async () => {
    const { waiting, silent, failure } = await readProgress(store, wanted);
    if (failure !== undefined) return { silent, failure };
    if (waiting.length > 0) {
      detail(waiting.join(', '));
      throw bootstrapErrors.timeout(`${waiting.join(', ')} did not come to this version`);
    }
    return { silent, failure };
  };
  const ended = await waitUntil('the other machines', hint, look, othersLimitMs);
  if (ended.failure)
    throw bootstrapErrors.command(
      `${ended.failure.host} did not come to this version, and no other machine was touched after it: ${ended.failure.reason}`,
    );
  return ended.silent;
}

export async function waitForApi(cluster: CliCluster): Promise<void> {
  const client = createHttpClient({
    baseUrl: cluster.url,
    timeoutMs: 2000,
    headers: { authorization: `Bearer ${cluster.token}` },
    ...(cluster.caFile ? { ca: await readFile(cluster.caFile, 'utf8') } : {}),
    dialAddress: '127.0.0.1',
  });
  try {
    const hint =
      'See `docker ps --filter label=gantry.app-name=gantry` and `docker logs` of what is not up.';
    await waitUntil('the API did not answer', hint, () => client.json('GET', '/status'));
  } finally {
    client.close();
  }
}

/** True as soon as somebody leads the deployments of the platform; false when nobody has for a whole patience. */
export async function isLed(store: Store, patienceMs = leaderlessMs): Promise<boolean> {
  const end = systemClock.monotonicMs() + patienceMs;
  for (;;) {
    if (await hasController(store)) return true;
    if (systemClock.monotonicMs() >= end) return false;
    await systemClock.sleep(200);
  }
}

/**
 * Follows a deployment of app `gantry` to its end; one that failed is an error with its reason. False when the leader
 * that would roll it out is gone: its claim of a life before had not run out when the deployment was written.
 */
export async function waitForDeployment(
  store: Store,
  id: string,
  detail: (text: string) => void,
  patienceMs = leaderlessMs,
): Promise<boolean> {
  const hint = 'See `gantry deployment -a gantry`.';
  const look = async () => {
    const entry = await store.get<Deployment>(deploymentKey(systemAppId, id));
    const state = entry?.value.state ?? 'gone';
    detail(entry?.value.reason ?? state);
    if (state === 'pending' && !(await isLed(store, patienceMs))) return undefined;
    if (['pending', 'running', 'rolling-back'].includes(state))
      throw bootstrapErrors.timeout(`it is ${state}`);
    return entry?.value;
  };
  const ended = await waitUntil('the platform was not deployed', hint, look, deploymentLimitMs);
  if (ended === undefined) return false;
  if (ended.state === 'failed') {
    throw bootstrapErrors.command(
      `this version did not come up and was rolled back: ${ended.reason ?? 'no reason given'}`,
    );
  }
  return true;
}
