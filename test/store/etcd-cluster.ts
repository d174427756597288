// Real etcd members on loopback, in a temporary folder, started as layer 0 would: for tests and benchmarks.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock as clock } from '#core/clock';
import { createHttpClient } from '#core/http-client';
import { silentLog as log } from '#core/log';
import { systemRandom as random } from '#core/random';
import {
  type EtcdStore,
  type EtcdStoreOptions,
  type EtcdTls,
  etcdArguments,
  openEtcdStore,
} from '#layer0/store/index';
import { waitFor } from '../cluster/wait.ts';

export interface EtcdMember {
  name: string;
  clientUrl: string;
  peerUrl: string;
  dataFolder: string;
  isRunning: boolean;
}

export interface ClusterOptions {
  size: number;
  tls?: EtcdTls;
  quotaBytes?: number;
}

/** What this machine has; undefined when etcd is not installed. */
export function etcdVersion(): string | undefined {
  const { stdout } = spawnSync('etcd', ['--version'], { encoding: 'utf8' });
  return /etcd Version: ([\d.]+)/i.exec(stdout ?? '')?.[1];
}

/** An authority, and one certificate of it for everybody on loopback. */
export function makeTls(folder: string): EtcdTls {
  const at = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => {
    const { status, stderr } = spawnSync('openssl', args, { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
  };
  const key = (name: string) => [
    ...['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
    ...['-keyout', at(`${name}.key`), '-out', at(`${name}.pem`)],
  ];
  openssl('req', '-x509', ...key('ca'), '-subj', '/CN=authority');
  openssl(
    ...['req', '-x509', ...key('member'), '-subj', '/CN=member'],
    ...['-CA', at('ca.pem'), '-CAkey', at('ca.key')],
    ...['-addext', 'subjectAltName=IP:127.0.0.1', '-addext', 'basicConstraints=critical,CA:FALSE'],
  );
  return { certFile: at('member.pem'), keyFile: at('member.key'), caFile: at('ca.pem') };
}

export class EtcdCluster {
  readonly folder = mkdtempSync(join(tmpdir(), 'gantry-etcd-'));
  readonly #options: ClusterOptions;
  readonly #processes = new Map<string, ChildProcess>();
  members: EtcdMember[] = [];

  constructor(options: ClusterOptions) {
    this.#options = options;
    // Whatever ends this process, no member outlives it.
    process.once('exit', this.#killAll);
  }

  get endpoints(): string[] {
    return this.members.map(({ clientUrl }) => clientUrl);
  }

  /** A member that is named and has ports, and does not run yet. */
  async name(name: string): Promise<EtcdMember> {
    const scheme = this.#options.tls ? 'https' : 'http';
    const [client, peer] = [await freePort(), await freePort()];
    return {
      name,
      clientUrl: `${scheme}://127.0.0.1:${client}`,
      peerUrl: `${scheme}://127.0.0.1:${peer}`,
      dataFolder: join(this.folder, name),
      isRunning: false,
    };
  }

  async start(): Promise<this> {
    for (let number = 1; number <= this.#options.size; number++)
      this.members.push(await this.name(`m${number}`));
    for (const member of this.members) this.startMember(member);
    await this.ready(this.members);
    return this;
  }

  startMember(member: EtcdMember, state: 'new' | 'existing' = 'new', token = 'test'): void {
    const { tls, quotaBytes } = this.#options;
    const { name, dataFolder, clientUrl, peerUrl } = member;
    const all = this.members.includes(member) ? this.members : [...this.members, member];
    const members = Object.fromEntries(all.map((each) => [each.name, each.peerUrl]));
    const args = etcdArguments({
      name,
      dataFolder,
      clientUrl,
      peerUrl,
      members,
      state,
      clusterToken: token,
      ...(tls ? { tls } : {}),
      ...(quotaBytes === undefined ? {} : { quotaBytes }),
    });
    const child = spawn('etcd', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let tail = '';
    child.stderr.on('data', (chunk: Buffer) => {
      tail = (tail + chunk.toString()).slice(-4_000);
    });
    child.once('exit', (code) => {
      member.isRunning = false;
      if (code) console.error(`etcd member ${name} ended with ${code}: ${tail}`);
    });
    member.isRunning = true;
    this.#processes.set(name, child);
  }

  /** Waits until each answers a read that needs the cluster's consent. */
  async ready(members: EtcdMember[]): Promise<void> {
    for (const { clientUrl, name } of members) {
      const http = createHttpClient({
        baseUrl: clientUrl,
        timeoutMs: 5_000,
        ...this.access().credentials?.(),
      });
      let last = '';
      const answers = () =>
        http.json('POST', '/v3/kv/range', { body: { key: 'AA==' } }).then(
          () => true,
          (error: unknown) => {
            last = String(error);
            return false;
          },
        );
      await waitFor(`etcd member ${name} to answer`, answers, { seen: () => last });
      http.close();
    }
  }

  /** A store on this cluster, preferring the members in their order. */
  open(options: Partial<EtcdStoreOptions> = {}): Promise<EtcdStore> {
    const access = { endpoints: this.endpoints, ...this.access() };
    return openEtcdStore({ ...access, clock, random, log, ...options });
  }

  /** What a client shows: in these tests the members' own certificate. */
  access(): Pick<EtcdStoreOptions, 'credentials'> {
    const { tls } = this.#options;
    if (!tls) return {};
    const read = (path: string) => readFileSync(path, 'utf8');
    const credentials = { ca: read(tls.caFile), cert: read(tls.certFile), key: read(tls.keyFile) };
    return { credentials: () => credentials };
  }

  signal(member: EtcdMember, signal: NodeJS.Signals): void {
    this.#processes.get(member.name)?.kill(signal);
  }

  async kill(member: EtcdMember, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#processes.get(member.name);
    this.#processes.delete(member.name);
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }

  async stop(): Promise<void> {
    this.#killAll();
    for (const child of this.#processes.values())
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    process.removeListener('exit', this.#killAll);
    rmSync(this.folder, { recursive: true, force: true });
  }

  readonly #killAll = (): void => {
    for (const child of this.#processes.values()) child.kill('SIGKILL');
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return typeof address === 'object' && address ? address.port : 0;
}
