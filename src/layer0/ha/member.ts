// The member of etcd on this machine: a container that this daemon starts, adopts by label and starts again. It needs no store:
// its plan is a file. Only a plan that says so makes a new one.

import { createHash } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#core/clock';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import { createLoop, type Loop } from '#core/reconcile';
import type { Container, ContainerSpec, Runtime } from '#layer0/host/index';
import { etcdArguments } from '#layer0/store/index';
import { leaderSilenceMs, lookMs, memberCpuMillis, memberMemoryBytes } from './config.ts';
import type { HaFiles } from './files.ts';
import type { MemberPlan } from './wire.ts';

export interface MemberDeps {
  runtime: Pick<Runtime, 'list' | 'create' | 'start' | 'remove'>;
  files: HaFiles;
  clock: Clock;
  random: Random;
  log: Log;
}

export interface MemberConfig {
  home: string;
  clusterId: string;
  hostId: string;
}

const planLabel = 'gantry.plan';
const containerName = 'gantry-etcd';
const logMaxBytes = 10 * 1024 * 1024;

export class EtcdMember {
  readonly #deps: MemberDeps;
  readonly #config: MemberConfig;
  readonly #loop: Loop;
  #plan: MemberPlan | undefined;
  /** Somebody said so: without a plan data is left alone. */
  #isEnded = false;

  constructor(deps: MemberDeps, config: MemberConfig) {
    this.#deps = deps;
    this.#config = config;
    const { clock, random, log } = deps;
    this.#loop = createLoop({
      ...{ name: 'ha/etcd-member', resyncMs: lookMs, clock, random, log },
      run: () => this.#pass(),
    });
  }

  get plan(): MemberPlan | undefined {
    return this.#plan;
  }

  async start(): Promise<void> {
    this.#plan = await this.#deps.files.readPlan();
    this.#loop.start();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  status(): Record<string, unknown> {
    return { token: this.#plan?.token, loop: this.#loop.status() };
  }

  async run(plan: MemberPlan): Promise<void> {
    await this.#deps.files.writePlan(plan);
    this.#plan = plan;
    this.#loop.trigger();
  }

  async end(): Promise<void> {
    await this.#deps.files.writePlan(undefined);
    this.#plan = undefined;
    this.#isEnded = true;
    this.#loop.trigger();
  }

  async #pass(): Promise<void> {
    const { runtime, log } = this.#deps;
    const plan = this.#plan;
    const found = await runtime.list(this.#labels('etcd'));
    const wanted = plan && (await this.#specOf(plan));
    const isWanted = ({ labels }: Container) =>
      wanted !== undefined && labels[planLabel] === wanted.labels[planLabel];
    for (const { id } of found.filter((container) => !isWanted(container)))
      await runtime.remove(id);
    if (plan || this.#isEnded) await this.#forgetData(plan?.data);
    if (!plan || !wanted) return;
    const there = found.find(isWanted);
    if (there?.state === 'running') return;
    if (there) log.warn({ exitCode: there.exitCode }, 'etcd had ended and is started again');
    await mkdir(join(this.#folder, plan.data), { recursive: true, mode: 0o700 });
    await runtime.start(there?.id ?? (await runtime.create(wanted)));
  }

  get #folder(): string {
    return join(this.#config.home, 'etcd');
  }

  #labels(role: string): Record<string, string> {
    return { 'gantry.platform': this.#config.clusterId, 'gantry.role': role };
  }

  /** Data of members that this machine ran before. */
  async #forgetData(kept: string | undefined): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    for (const name of await readdir(this.#folder))
      if (name !== kept) await rm(join(this.#folder, name), { recursive: true, force: true });
  }

  async #specOf(plan: MemberPlan): Promise<ContainerSpec | undefined> {
    const { home, hostId } = this.#config;
    const own = plan.nodes.find((node) => node.hostId === hostId);
    const [daemon] = await this.#deps.runtime.list(this.#labels('host'));
    if (!own || !daemon) return undefined;
    const identity = join(home, 'membership');
    const command = etcdArguments({
      ...{ name: hostId, dataFolder: join(this.#folder, plan.data), clusterToken: plan.token },
      ...{ clientUrl: own.clientUrl, peerUrl: own.peerUrl, state: plan.state },
      electionMs: leaderSilenceMs,
      members: Object.fromEntries(plan.nodes.map((node) => [node.hostId, node.peerUrl])),
      tls: {
        certFile: join(identity, 'host.crt'),
        keyFile: join(identity, 'host.key'),
        caFile: join(identity, 'authority.crt'),
      },
    });
    const hash = createHash('sha256').update(JSON.stringify(command)).digest('hex').slice(0, 16);
    return {
      ...{ name: containerName, image: daemon.image, command: ['etcd', ...command], env: {} },
      labels: { ...this.#labels('etcd'), [planLabel]: hash },
      network: { kind: 'host' },
      binds: [
        { source: this.#folder, target: this.#folder, isReadOnly: false },
        { source: identity, target: identity, isReadOnly: true },
      ],
      ...{ memoryBytes: memberMemoryBytes, cpuMillis: memberCpuMillis, pids: 512 },
      ...{ tty: false, openStdin: false, capabilities: [], logMaxBytes, logMaxFiles: 3 },
    };
  }
}
