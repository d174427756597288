// An app under load: deployed as an image (no build), asked by clients of every kind, with each answer counted by release.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ControllerClient, createControllerClient } from '#layer1/controller/client';
import type { Deployment, ProcessType } from '#layer1/controller/wire';
import { type Answer, type LoadOptions, type LoadReport, startLoad } from '../load/client.ts';
import type { Machine } from './machine.ts';
import type { Platform } from './platform.ts';
import { waitFor } from './wait.ts';

/** The management API, from outside of the machine, with the token that script/up made; at another machine's router if said. */
export async function connectApi(
  { machine }: Platform,
  at: Pick<Machine, 'address'> = machine,
): Promise<ControllerClient> {
  const path = join(machine.root, 'root/.config/gantry/config.json');
  const config = JSON.parse(await readFile(path, 'utf8')) as {
    clusters: Record<string, { token: string }>;
  };
  const token = config.clusters['gantry.localhost']?.token ?? '';
  return createControllerClient({
    baseUrl: 'http://api.gantry.localhost',
    dialAddress: at.address,
    token,
  });
}

export class LoadApp {
  readonly name: string;
  readonly platform: Platform;
  readonly api: ControllerClient;

  constructor(name: string, platform: Platform, api: ControllerClient) {
    this.name = name;
    this.platform = platform;
    this.api = api;
  }

  /** Creates the app and runs that many instances of it, and of the process types beside `web`. */
  static async create(
    platform: Platform,
    name: string,
    instances: number,
    others: Record<string, ProcessType> = {},
  ): Promise<LoadApp> {
    const app = new LoadApp(name, platform, await connectApi(platform));
    // A test before this one may have killed what the API is made of.
    const isThere = () =>
      app.api.status().then(
        () => true,
        () => undefined,
      );
    await waitFor('the API to answer', isThere, { timeoutMs: 120_000 });
    await app.delete();
    await app.api.createApp({ name });
    const types = ['web', ...Object.keys(others)];
    await app.api.scale(name, Object.fromEntries(types.map((type) => [type, instances])));
    const deployment = await app.deploy({}, others);
    const ended = await app.untilEnded(deployment.id);
    if (ended.state !== 'complete') throw new Error(`${name}: ${ended.state}: ${ended.reason}`);
    await platform.untilAnswers(name);
    return app;
  }

  /** A release of the load app; `web` may differ, and others may be beside it. The deployment is under way when this resolves. */
  async deploy(web: ProcessType = {}, others: Record<string, ProcessType> = {}) {
    const script = await readFile(join(import.meta.dirname, '../load/app.js'), 'utf8');
    const entrypoint = ['node', '-e', script];
    const { deployment } = await this.api.deploy(this.name, {
      image: 'gantry/stack:latest',
      processes: { web: { entrypoint, ...web }, ...others },
    });
    if (!deployment) throw new Error('the deploy made no deployment');
    return deployment;
  }

  /** A release that differs in one config value: the cheapest deploy there is. */
  async setEnv(name: string, value: string): Promise<Deployment> {
    const { deployment } = await this.api.changeEnv(this.name, { set: { [name]: value } });
    if (!deployment) throw new Error('the change made no deployment');
    return deployment;
  }

  /** The API may be away for a moment when its processes are what the test kills. */
  async untilEnded(id: string, timeoutMs = 180_000): Promise<Deployment> {
    let seen: unknown;
    const check = async () => {
      const deployment = await this.api.readDeployment(this.name, id).catch((error: Error) => {
        seen = error.message;
        return undefined;
      });
      if (!deployment) return undefined;
      seen = deployment;
      return deployment.endedAt === undefined ? undefined : deployment;
    };
    const what = `deployment ${id} of ${this.name} to end`;
    return waitFor(what, check, { timeoutMs, seen: () => seen });
  }

  async delete(): Promise<void> {
    const apps = await this.api.listApps();
    if (!apps.some(({ name }) => name === this.name)) return;
    await this.api.deleteApp(this.name);
    const isGone = async () => !(await this.api.listApps()).some(({ name }) => name === this.name);
    await waitFor(`${this.name} to be deleted`, isGone, { timeoutMs: 120_000 });
  }

  async close(): Promise<void> {
    await this.delete();
    this.api.close();
  }
}

export type LoadKind = Pick<
  LoadOptions,
  'mode' | 'clients' | 'pauseMs' | 'method' | 'body' | 'slowMs' | 'isTls'
>;

/** Nobody on the way sends a POST a second time. */
const gentle: LoadKind[] = [
  { mode: 'keep-alive', clients: 4, pauseMs: 4 },
  { mode: 'keep-alive', clients: 4, pauseMs: 4, method: 'POST', body: 'order=1' },
  // Connections that rest: whoever closes one must not do it while a request is on its way.
  { mode: 'keep-alive', clients: 8, pauseMs: 700, method: 'POST', body: 'order=3' },
  { mode: 'close', clients: 2, pauseMs: 10, method: 'POST', body: 'order=2' },
  { mode: 'websocket', clients: 3, pauseMs: 50 },
  { mode: 'slow', clients: 4, pauseMs: 0 },
];

/** Clients of every kind on one app. No request is ever sent twice. */
export class MixedLoad {
  readonly #loads;
  /** Answers of plain requests since the last `take`, by release, in the order in which releases first answered. */
  #answers = new Map<string, number>();
  /** Answers of a release after a newer one had answered: that both served at once. */
  #overlaps = 0;
  #newest = 0;

  constructor(address: string, app: string, kinds: readonly LoadKind[] = gentle) {
    const host = `${app}.gantry.localhost`;
    const verify = (answer: Answer) => this.#judge(answer);
    const common = { address, host, timeoutMs: 30_000, slowMs: 1_500, messages: 30 };
    this.#loads = kinds.map((kind) =>
      startLoad({
        ...common,
        ...kind,
        port: kind.isTls ? 443 : 80,
        ...(kind.mode === 'websocket' ? {} : { verify }),
      }),
    );
  }

  get requests(): number {
    return this.#loads.reduce((sum, load) => sum + load.requests, 0);
  }

  get failed(): number {
    return this.#loads.reduce((sum, load) => sum + load.failed, 0);
  }

  /** Requests under way now. */
  inFlight(label: string): number {
    return this.#loads.reduce((sum, load) => sum + load.mark(label).inFlight, 0);
  }

  answersOf(release: string): number {
    return this.#answers.get(release) ?? 0;
  }

  /** What was counted since the last call. */
  take(): { answers: Record<string, number>; overlaps: number } {
    const taken = { answers: Object.fromEntries(this.#answers), overlaps: this.#overlaps };
    this.#answers = new Map();
    this.#overlaps = 0;
    return taken;
  }

  /** Lets what has begun end; again, it answers the same. */
  async stop(): Promise<LoadReport[]> {
    return Promise.all(this.#loads.map((load) => load.stop()));
  }

  #judge({ status, headers, body }: Answer): string | undefined {
    if (status !== 200) return `status ${status}: ${body.slice(0, 200)}`;
    if (body !== headers['x-body']) return `body ${JSON.stringify(body.slice(0, 40))}`;
    const release = String(headers['x-instance']);
    this.#answers.set(release, this.answersOf(release) + 1);
    const version = Number(release.slice(1));
    if (version < this.#newest) this.#overlaps++;
    this.#newest = Math.max(this.#newest, version);
    return undefined;
  }
}

/** What a failed assertion should say: how many failed, and the first ones in words. */
export function failuresOf(reports: LoadReport[]): string[] {
  return reports.flatMap(({ mode, failed, examples }) =>
    failed === 0 ? [] : [`${mode}: ${failed} failed`, ...examples],
  );
}

export function requestsOf(reports: LoadReport[]): number {
  return reports.reduce((sum, { requests }) => sum + requests, 0);
}
