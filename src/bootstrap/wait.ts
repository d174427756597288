// Waits for parts of the platform to come up, and when one does not, says which and where its log is.

import { readFile } from 'node:fs/promises';
import { systemClock } from '#core/clock';
import { toAppError } from '#core/errors';
import { createHttpClient } from '#core/http-client';
import { systemRandom } from '#core/random';
import { retry } from '#core/retry';
import type { Store } from '#layer0/store/client';
import { type Deployment, deploymentKey } from '#layer1/controller/wire';
import { bootstrapErrors } from './errors.ts';
import { hasController } from './install.ts';
import { systemAppId } from './system-app.ts';
import type { CliCluster } from './user.ts';

const limitMs = 120_000;
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
      if (toAppError(cause).status === 401) throw cause;
      throw asRetry(cause);
    }
  }, options);
}

export async function waitForLayer0(baseUrl: string): Promise<void> {
  const client = createHttpClient({ baseUrl, timeoutMs: 2000 });
  try {
    await waitUntil('the host daemon did not answer', 'See `docker logs gantry-host`.', () =>
      client.json('GET', '/status'),
    );
  } finally {
    client.close();
  }
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
