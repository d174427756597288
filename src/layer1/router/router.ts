// The loop: routes, certificates and instances in; every running HAProxy and the files it starts from out.
// One router of a host leads; the others wait, so that two can overlap while the platform is deployed.

import { join } from 'node:path';
import type { Clock } from '#core/clock';
import { toAppError } from '#core/errors';
import type { Log } from '#core/log';
import type { ConsumerHandle, Directory } from '#layer0/discovery/client';
import { namesIn, readText, TableFiles } from './act/files.ts';
import { CertificateFiles, type LoadedCertificates, type OpenSealed } from './certificates.ts';
import { type ProxyPaths, proxyPaths, type RouterConfig } from './config.ts';
import {
  type RenderInputs,
  renderConfig,
  renderPages,
  renderRoutesMap,
  shapeOf,
} from './decide/render.ts';
import { noSlots, parseSlots, renderServicesMap, type Slots } from './decide/slots.ts';
import { jobOfServer, makeTable, planRoutes, type RoutePlan, type Table } from './decide/table.ts';
import { RunningProxy } from './proxy.ts';
import type { Certificate, Route } from './wire.ts';
import type { Desired, EndConnections } from './worker.ts';

/** While a drain or a starting proxy is waited for. */
const soonMs = 100;
/** How long nobody listens on a proxy's socket before it is not waited for: on a busy machine one takes seconds to start. */
const silentMs = 30_000;

export interface PassInputs {
  /** The same array while no route has changed. */
  routes: readonly Route[];
  certificates: Iterable<Certificate>;
  directory: Directory;
}

export interface TableDriverDeps {
  settings: RouterConfig;
  openSealed: OpenSealed;
  endConnections: EndConnections;
  clock: Clock;
  log: Log;
}

export interface PassResult {
  /** Every HAProxy that may serve requests has the table. */
  isApplied: boolean;
  /** Jobs of draining or gone instances that still serve requests. */
  busy: string[];
  /** Run again this soon. */
  againMs?: number;
}

/** Drives every HAProxy of this host. Used by the leader only: it is the one writer of the files. */
export class TableDriver {
  readonly #deps: TableDriverDeps;
  readonly #paths: ProxyPaths;
  readonly #files = new TableFiles();
  readonly #certificates: CertificateFiles;
  readonly #proxies = new Map<string, RunningProxy>();
  readonly #silentSinceMs = new Map<string, number>();
  #slots: Slots | undefined;
  #plan: { of: readonly Route[]; plan: RoutePlan } | undefined;
  #table: { of: Directory['services']; plan: RoutePlan; table: Table } | undefined;
  /** What the files say, of a pass that has written them all. */
  #written: Pick<RenderInputs, 'table' | 'hasDefaultCertificate'> | undefined;
  #passes = 0;

  constructor(deps: TableDriverDeps) {
    this.#deps = deps;
    this.#paths = proxyPaths(deps.settings.home);
    this.#certificates = new CertificateFiles({ ...deps, paths: this.#paths, files: this.#files });
  }

  status(): Record<string, unknown> {
    return {
      passes: this.#passes,
      proxies: [...this.#proxies.values()].map((proxy) => proxy.status()),
      routes: this.#table?.plan.routes.size ?? 0,
      services: this.#table?.plan.services.size ?? 0,
      tcpPorts: this.#table?.plan.tcp.map(({ port }) => port) ?? [],
    };
  }

  /** Another router may have written since: read everything again. */
  forget(): void {
    this.#files.forget();
    this.#slots = undefined;
    this.#plan = undefined;
    this.#table = undefined;
    this.#written = undefined;
    this.#proxies.clear();
  }

  /** One pass over all proxies. Resolves when each that answers has the table, and the disk has it too. */
  async pass({ routes, certificates, directory }: PassInputs): Promise<PassResult> {
    this.#passes++;
    const loaded = await this.#certificates.load(certificates);
    const table = await this.#makeTable(routes, directory);
    const inputs = this.#renderInputs(table, loaded);
    const desired = { table, certificates: loaded, shape: shapeOf(inputs) };
    let isWritten = false;
    const write = async () => {
      if (!isWritten) await this.#write(inputs);
      isWritten = true;
    };
    const result = await this.#bringAll(desired, write);
    await write();
    await this.#certificates.removeOthers(loaded);
    return result;
  }

  async #makeTable(routes: readonly Route[], directory: Directory): Promise<Table> {
    if (this.#plan?.of !== routes)
      this.#plan = { of: routes, plan: await this.#planRoutes(routes) };
    const { plan } = this.#plan;
    const of = directory.services;
    if (this.#table?.plan !== plan || this.#table.of !== of)
      this.#table = { of, plan, table: makeTable(plan, of) };
    return this.#table.table;
  }

  /** A number is on disk before it means anything to a running HAProxy. */
  async #planRoutes(routes: readonly Route[]): Promise<RoutePlan> {
    const { settings } = this.#deps;
    this.#slots ??= parseSlots((await readText(this.#paths.servicesMap)) ?? '') ?? noSlots;
    const plan = planRoutes({
      host: settings.hostId,
      routes,
      slots: this.#slots,
      spares: settings.spareBackends,
      tcpPorts: { min: settings.tcpPortMin, max: settings.tcpPortMax },
    });
    if (plan.slots !== this.#slots) {
      await this.#writeServices(plan);
      this.#slots = plan.slots;
    }
    return plan;
  }

  #renderInputs(table: Table, { hasDefault }: LoadedCertificates): RenderInputs {
    const { settings } = this.#deps;
    return { settings, paths: this.#paths, table, hasDefaultCertificate: hasDefault };
  }

  #writeServices({ slots, tcp: listeners }: RoutePlan): Promise<boolean> {
    const tcp = new Map(listeners.map(({ backend, service }) => [backend, service]));
    return this.#files.write(this.#paths.servicesMap, renderServicesMap(slots, tcp));
  }

  /** Routes last: they never lead to a backend that the files before them do not have. */
  async #write(inputs: RenderInputs): Promise<void> {
    const { table, hasDefaultCertificate } = inputs;
    const before = this.#written;
    if (before?.table === table && before.hasDefaultCertificate === hasDefaultCertificate) return;
    for (const [name, text] of Object.entries(renderPages()))
      await this.#files.write(join(this.#paths.errors, name), text);
    await this.#writeServices(inputs.table);
    await this.#files.write(this.#paths.config, renderConfig(inputs));
    await this.#files.write(this.#paths.routesMap, renderRoutesMap(inputs.table));
    this.#written = { table, hasDefaultCertificate };
  }

  /** One proxy that fails does not hold the others back; its error is thrown when all have had their turn. */
  async #bringAll(desired: Desired, write: () => Promise<void>): Promise<PassResult> {
    const busy = new Set<string>();
    const failures: unknown[] = [];
    let isWaiting = false;
    let isApplied = true;
    let serving = 0;
    for (const proxy of await this.#findProxies()) {
      try {
        const pass = await proxy.bring(desired, write);
        this.#silentSinceMs.delete(proxy.id);
        for (const { name } of pass.busy) busy.add(jobOfServer(name));
        isWaiting ||= pass.isWaiting;
        serving += pass.isServing ? 1 : 0;
      } catch (error) {
        const code = causeCode(error);
        if (code !== 'ECONNREFUSED' && code !== 'ENOENT') failures.push(error);
        else if (this.#isSilent(proxy.id)) continue;
        isApplied = false;
      }
    }
    if (failures.length > 0) throw failures[0];
    const result = { busy: [...busy].sort(), isApplied };
    return isWaiting || !isApplied || serving === 0 ? { ...result, againMs: soonMs } : result;
  }

  async #findProxies(): Promise<RunningProxy[]> {
    const ids = await namesIn(this.#paths.run);
    for (const id of this.#proxies.keys()) {
      if (ids.includes(id)) continue;
      this.#proxies.delete(id);
      this.#silentSinceMs.delete(id);
    }
    for (const id of ids) {
      if (this.#proxies.has(id)) continue;
      this.#proxies.set(id, new RunningProxy(id, { ...this.#deps, paths: this.#paths }));
    }
    return [...this.#proxies.values()];
  }

  /**
   * A proxy that does not listen is starting, perhaps with the table before this one, or reloading. Silent for too long, it was
   * killed, and nobody waits for it; but it is asked again, and its folder is not touched: only the next proxy can tell by the lock
   * in it that it is dead, and one that lives would never be found again.
   */
  #isSilent(id: string): boolean {
    const nowMs = this.#deps.clock.monotonicMs();
    const sinceMs = this.#silentSinceMs.get(id) ?? nowMs;
    this.#silentSinceMs.set(id, sinceMs);
    return nowMs - sinceMs >= silentMs;
  }
}

function causeCode(error: unknown): unknown {
  const { cause } = toAppError(error);
  return typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : undefined;
}

/** Says how far this router is, when that has changed. */
export class ConsumerReport {
  readonly #consumer: ConsumerHandle;
  #services: Directory['services'] | undefined;
  #busy = '';

  constructor(consumer: ConsumerHandle) {
    this.#consumer = consumer;
  }

  async report({ revision, services }: Directory, busy: string[]): Promise<void> {
    const text = busy.join(' ');
    if (services === this.#services && text === this.#busy) return;
    await this.#consumer.report({ applied: revision, busy });
    this.#services = services;
    this.#busy = text;
  }
}
