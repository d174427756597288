// People who use the platform: they create apps, deploy good and bad releases, scale, roll back and delete.
// They write what the controller's API writes; its loop does the rest.

import { newId } from '#core/ids';
import type { Operation } from '#layer0/store/client';
import {
  type App,
  appKey,
  appNameKey,
  appPrefix,
  type Deployment,
  deploymentKey,
  deploymentStrategies,
  type Release,
  releaseKey,
  releasePrefix,
} from '#layer1/controller/wire';
import { badImageName } from './machine.ts';
import type { Simulation } from './simulation.ts';
import { spec } from './workload.ts';

const names = ['shop', 'blog'];
const mostReplicas = 4;
/** Of apps in clusters. */
const singletonShare = 0.2;

export class PlatformUsers {
  readonly #sim: Simulation;

  constructor(sim: Simulation) {
    this.#sim = sim;
  }

  async deploy(): Promise<void> {
    const app = this.#someApp() ?? (await this.#create());
    if (!app) return;
    const isBad = app.currentRelease !== undefined && this.#sim.random() < 0.2;
    const image = isBad ? badImageName : spec.image;
    this.#sim.say(`user: deploys ${app.name} with ${image}`);
    await this.#release(app, image);
  }

  async rollBack(): Promise<void> {
    const app = this.#someApp();
    const old = app && this.#pick(this.#releases(app.id));
    const image = old?.systemSpecs?.web?.image;
    if (!app?.currentRelease || !image) return;
    this.#sim.say(`user: rolls ${app.name} back to v${old?.version}`);
    await this.#release(app, image);
  }

  async scale(): Promise<void> {
    const app = this.#someApp();
    if (!app) return;
    const most = app.placements?.web?.count === 'singleton' ? 1 : mostReplicas;
    const web = Math.floor(this.#sim.random() * (most + 1));
    this.#sim.say(`user: scales ${app.name} to ${web}`);
    await this.#replace(app, { ...app, quantities: { web } }, []);
  }

  async remove(): Promise<void> {
    const app = this.#someApp();
    if (!app) return;
    this.#sim.say(`user: deletes ${app.name}`);
    await this.#replace(app, { ...app, isDeleting: true }, []);
  }

  async #create(): Promise<App | undefined> {
    const free = names.filter((name) => !this.#sim.ledger.read(appNameKey(name)));
    const name = this.#pick(free);
    if (name === undefined) return undefined;
    const strategy = this.#pick([...deploymentStrategies]) ?? 'one-by-one';
    const quantity = 1 + Math.floor(this.#sim.random() * mostReplicas);
    const isSingleton = this.#sim.isOperated && this.#sim.random() < singletonShare;
    const app: App = {
      id: this.#id('app'),
      name,
      batchSize: 2,
      limits: {},
      isSystem: false,
      isDeleting: false,
      strategy,
      quantities: { web: isSingleton ? 1 : quantity },
      ...(isSingleton ? { placements: { web: { count: 'singleton' as const } } } : {}),
      createdAt: this.#sim.clock.now(),
    };
    this.#sim.say(`user: creates ${name}, ${app.strategy}`);
    await this.#commit([
      { put: appKey(app.id), value: app },
      { put: appNameKey(name), value: { app: app.id } },
    ]);
    return app;
  }

  async #release(app: App, image: string): Promise<void> {
    const version = Math.max(0, ...this.#releases(app.id).map((one) => one.version)) + 1;
    const at = Math.floor(this.#sim.clock.now());
    const release: Release = {
      id: this.#id('rel'),
      app: app.id,
      version,
      sealedEnv: {},
      processes: {},
      systemSpecs: { web: { ...spec, image } },
      ...(app.placements ? { placements: app.placements } : {}),
      description: 'Deploy',
      createdBy: 'a user',
      createdAt: at,
    };
    const { strategy, batchSize, currentRelease, currentVersion } = app;
    const deployment: Deployment = {
      id: this.#id('dep'),
      app: app.id,
      newRelease: release.id,
      newVersion: version,
      ...(currentRelease === undefined ? {} : { oldRelease: currentRelease }),
      ...(currentVersion === undefined ? {} : { oldVersion: currentVersion }),
      strategy,
      batchSize,
      state: 'pending',
      createdAt: at,
      progressAt: at,
    };
    await this.#replace(app, app, [
      { put: releaseKey(app.id, version), value: release },
      { put: deploymentKey(app.id, deployment.id), value: deployment },
    ]);
  }

  /** Only if nobody changed the app meanwhile. */
  async #replace(before: App, after: App, more: Operation[]): Promise<void> {
    const entry = this.#sim.ledger.read(appKey(before.id));
    if (!entry) return;
    const compare = [{ key: entry.key, modRevision: entry.modRevision }];
    const write = before === after ? [] : [{ put: entry.key, value: after }];
    const store = this.#sim.house.serving?.store;
    await store?.txn({ compare, operations: [...write, ...more] });
  }

  async #commit(operations: Operation[]): Promise<void> {
    await this.#sim.house.serving?.store.txn({ compare: [], operations });
  }

  #someApp(): App | undefined {
    const entries = this.#sim.ledger.readRange({ prefix: appPrefix });
    const living = entries.map(({ value }) => value as App).filter((app) => !app.isDeleting);
    // Now and then nobody's: a new app is made.
    return this.#sim.random() < 0.3 ? undefined : this.#pick(living);
  }

  #releases(app: string): Release[] {
    const entries = this.#sim.ledger.readRange({ prefix: releasePrefix(app) });
    return entries.map(({ value }) => value as Release);
  }

  #id(prefix: 'app' | 'rel' | 'dep'): string {
    return newId(
      prefix,
      Uint8Array.from({ length: 16 }, () => this.#sim.random() * 256),
    );
  }

  #pick<T>(from: T[]): T | undefined {
    return from[Math.floor(this.#sim.random() * from.length)];
  }
}
