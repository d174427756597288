// A real machine for tests: a bare Debian root file system in namespaces of its own, which can be powered off and on.
// It has neither Node nor Docker; `script/up` installs them as on any fresh machine.

import { type ChildProcess, execFile, type SpawnOptions, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { waitFor } from './wait.ts';

const run = promisify(execFile);
const project = join(import.meta.dirname, '../..');

/** Short and the same for this checkout: names of bridges and namespaces, beside those of other checkouts. */
const prefix = `g${createHash('sha256').update(project).digest('hex').slice(0, 5)}`;
const bridge = `${prefix}br`;
/** How long what a command has printed may be on its way after its end. */
const drainMs = 500;
/** Takes all that is left of a disk. */
const filler = '/var/filler';
/** What makes a clock wrong, and what it takes the place of in the container. */
const fakeClock = '/usr/lib/*/faketime/libfaketimeMT.so.1';
const allocator = '/var/tmp/allocator.so';
/** Where machines are kept, of this checkout and of others. */
export const machinesFolder = '/var/lib/gantry-test';
/** 10.99.<n>.0/24, n from the path, so that two checkouts do not meet. */
const underlay = `10.99.${1 + (Number.parseInt(prefix.slice(1), 16) % 250)}`;

export interface MachineOptions {
  /** 1 to 99: part of its address and of its name. */
  number: number;
  /** Debian release of its root file system. */
  suite: 'bookworm' | 'trixie';
  /** Size of a disk of its own, which it can fill; without, it has a folder of this machine's disk. */
  diskMegabytes?: number;
}

export interface Output {
  code: number;
  stdout: string;
  stderr: string;
}

interface ShellOptions {
  env?: Record<string, string>;
  input?: string;
  timeoutMs?: number;
  /** What it prints is printed here too, as it comes. */
  isShown?: boolean;
}

export class Machine {
  /** Set by who is told to end: what is still under way in this process makes nothing that nobody would remove. */
  static areEnding = false;
  readonly name: string;
  readonly address: string;
  readonly folder: string;
  readonly options: MachineOptions;

  constructor(options: MachineOptions) {
    this.options = options;
    this.name = `${prefix}m${options.number}`;
    this.address = `${underlay}.${10 + options.number}`;
    this.folder = join(machinesFolder, this.name);
  }

  get root(): string {
    return join(this.folder, 'root');
  }

  /** The far end of its cable. */
  get #cable(): string {
    return `${this.name}v`;
  }

  /** Kept in a file, so that every test process drives the same machine; undefined while it is off. */
  get #initPid(): number | undefined {
    try {
      return Number(readFileSync(join(this.folder, 'init.pid'), 'utf8'));
    } catch {
      return undefined;
    }
  }

  /** A path of the running machine, seen from here: its /run is in no folder of ours. */
  path(inside: string): string {
    return `/proc/${this.#initPid}/root${inside}`;
  }

  /** On or off. */
  get isKept(): boolean {
    return existsSync(this.folder);
  }

  get isOn(): boolean {
    const pid = this.#initPid;
    return pid !== undefined && existsSync(`/proc/${pid}/ns/net`);
  }

  /**
   * Makes the root file system (empty of Node, Docker and git). An older one is destroyed.
   * `like` is a machine whose installed packages it gets, and nothing else of it: that saves installing them again.
   */
  async create({ like }: { like?: Machine } = {}): Promise<void> {
    this.#refuseAtEnd();
    await this.destroy();
    await mkdir(this.root, { recursive: true });
    if (this.options.diskMegabytes !== undefined) await this.#makeDisk(this.options.diskMegabytes);
    if (like) await copyPackages(like.root, this.root);
    else {
      const image = await baseFileSystem(this.options.suite);
      await run('tar', ['-xf', image, '-C', this.root, '--numeric-owner']);
    }
    // Docker's own init is a static binary: it runs on a root file system that has nothing.
    const init = await run('sh', ['-c', 'readlink -f "$(command -v docker-init)"']);
    await cp(init.stdout.trim(), join(this.root, 'sbin/machine-init'));
    await cp('/etc/resolv.conf', join(this.root, 'etc/resolv.conf'), { dereference: true });
    await writeFile(join(this.root, 'etc/hosts'), `127.0.0.1 localhost ${this.name}\n`);
    const bundle = process.env.NODE_EXTRA_CA_CERTS;
    if (bundle)
      await cp(bundle, join(this.root, 'etc/ssl/certs/ca-certificates.crt'), { dereference: true });
  }

  /** Boots: namespaces and an init, nothing else runs yet. */
  async powerOn(): Promise<void> {
    this.#refuseAtEnd();
    await this.#plugIn();
    const script = join(import.meta.dirname, 'machine-init.sh');
    const args = [
      `--net=/run/netns/${this.name}`,
      'unshare',
      '--mount',
      '--uts',
      '--pid',
      '--ipc',
      '--fork',
      '--kill-child',
    ];
    // Not our own output: whoever runs this test waits until nobody holds it open any more.
    const bootLog = openSync(join(this.folder, 'boot.log'), 'a');
    const starter = spawn('nsenter', [...args, 'sh', script, this.root, this.name], {
      stdio: ['ignore', bootLog, bootLog],
      detached: true,
    });
    starter.unref();
    closeSync(bootLog);
    const parent = starter.pid;
    await waitFor(`${this.name} to boot`, async () => {
      const children = await readFile(`/proc/${parent}/task/${parent}/children`, 'utf8').catch(
        () => '',
      );
      const child = Number(children.trim().split(' ')[0]);
      const command = child ? await readFile(`/proc/${child}/cmdline`, 'utf8').catch(() => '') : '';
      if (!command.startsWith('/sbin/machine-init')) return false;
      await writeFile(join(this.folder, 'init.pid'), String(child));
      return true;
    });
  }

  #refuseAtEnd(): void {
    if (Machine.areEnding) throw new Error(`${this.name} is not made or started: all machines go`);
  }

  /** As a kernel that begins has it: a network card on a cable, and nothing of what was there before. */
  async #plugIn(): Promise<void> {
    await this.#unplug();
    await ensureUnderlay();
    const { name } = this;
    const cable = this.#cable;
    // The card is the same one after each boot.
    const card = `02:00:00:00:00:${(10 + this.options.number).toString(16).padStart(2, '0')}`;
    const peer = ['peer', 'name', 'eth0', 'address', card, 'netns', name];
    await run('ip', ['netns', 'add', name]);
    await run('ip', ['link', 'add', cable, 'type', 'veth', ...peer]);
    await run('ip', ['link', 'set', cable, 'master', bridge, 'up']);
    for (const args of [
      ['link', 'set', 'lo', 'up'],
      ['addr', 'add', `${this.address}/24`, 'dev', 'eth0'],
      ['link', 'set', 'eth0', 'up'],
      ['route', 'add', 'default', 'via', `${underlay}.1`],
    ]) {
      await run('ip', ['-n', name, ...args]);
    }
    await run('ip', ['netns', 'exec', name, 'sysctl', '-qw', 'net.ipv4.ip_forward=0']);
  }

  async #unplug(): Promise<void> {
    await run('ip', ['link', 'del', this.#cable]).catch(ignoreAbsent);
    await run('ip', ['netns', 'del', this.name]).catch(ignoreAbsent);
  }

  /**
   * Pulls the plug: every process and the network of the machine are gone at once, and nothing answers for its address; what
   * was written stays.
   */
  async powerOff(): Promise<void> {
    const pid = this.#initPid;
    if (pid === undefined) return;
    // First of all: the end of a process ends its connections, and without power nobody would hear of it.
    await this.cut();
    process.kill(pid, 'SIGKILL');
    await waitFor(`${this.name} to be off`, async () => !(await exists(`/proc/${pid}/ns/net`)));
    await rm(join(this.folder, 'init.pid'), { force: true });
    await this.#unplug();
  }

  /** Starts dockerd as the machine's service manager would at boot; script/up does it on the first boot. */
  async startDocker(): Promise<void> {
    await this.sh(
      'rm -f /var/run/docker.pid; setsid dockerd >>/var/log/dockerd.log 2>&1 </dev/null &',
    );
    await this.untilDockerAnswers();
  }

  async untilDockerAnswers(): Promise<void> {
    await waitFor('dockerd to answer', async () => (await this.sh('docker version')).code === 0);
  }

  /** Powers on and starts dockerd: what a machine does by itself when it gets power. */
  async boot(): Promise<void> {
    await this.powerOn();
    await this.startDocker();
  }

  async reboot(): Promise<void> {
    await this.powerOff();
    await this.boot();
  }

  /** Pulls its cable at the far end: the machine sees a link on which nobody answers, and TCP waits. */
  async cut(): Promise<void> {
    await run('ip', ['link', 'set', this.#cable, 'nomaster']);
  }

  /** One that is off has its cable again when it boots. */
  async heal(): Promise<void> {
    if (this.isOn) await run('ip', ['link', 'set', this.#cable, 'master', bridge, 'up']);
  }

  /** Nothing passes between the two any more, in silence; others reach both. */
  async cutFrom(other: Machine): Promise<void> {
    for (const [here, there] of [
      [this, other],
      [other, this],
    ] as const)
      await here.must(`iptables -t raw -I PREROUTING -s ${there.address} -j DROP`);
  }

  async healFrom(other: Machine): Promise<void> {
    for (const [here, there] of [
      [this, other],
      [other, this],
    ] as const)
      await here.must(`iptables -t raw -D PREROUTING -s ${there.address} -j DROP`);
  }

  /** SIGSTOP for dockerd, or for every process of a container: it is there and does nothing until `thaw`. */
  async freeze(what: 'dockerd' | { container: string }): Promise<void> {
    const pids =
      what === 'dockerd'
        ? 'cat /var/run/docker.pid'
        : `docker top ${what.container} -eo pid | tail -n +2`;
    await this.must(`kill -STOP $(${pids})`);
  }

  /** Everything that is frozen on this machine goes on. */
  async thaw(): Promise<void> {
    await this.must(`ps -eo pid=,stat= | awk '$2 ~ /^T/ { print $1 }' | xargs -r kill -CONT`);
  }

  /**
   * The clock of `gantry-host` is so far ahead (behind, when negative) from its restart on. The kernel has one clock for all
   * machines of a test, so that only this process sees another time: the library that it loads first is put in the place of its
   * allocator, with which it cannot live. A program that does not ask the C library for the time, like the engine, has the right one.
   */
  async setClock(seconds: number): Promise<void> {
    const offset = `${seconds < 0 ? '' : '+'}${seconds}`;
    await this.must(`set -e
      [ -e ${fakeClock} ] || (apt-get update; apt-get install -y --no-install-recommends libfaketime) >/dev/null
      at=$(docker exec gantry-host sh -c 'echo /usr/lib/*/libjemalloc.so.2')
      [ -e ${allocator} ] || docker cp gantry-host:$at ${allocator}
      echo '${offset}' >/var/tmp/faketimerc
      docker cp -L ${fakeClock} gantry-host:$at
      docker cp /var/tmp/faketimerc gantry-host:/etc/faketimerc
      echo $at >${allocator}.path
      docker restart gantry-host >/dev/null`);
  }

  /** Its clock is right again. */
  async mendClock(): Promise<void> {
    await this.must(`set -e
      [ -e ${allocator}.path ] || exit 0
      docker cp ${allocator} gantry-host:$(cat ${allocator}.path)
      docker restart gantry-host >/dev/null
      rm ${allocator} ${allocator}.path`);
  }

  /** Not one byte is left, not even for root. Only a machine with a disk of its own can. */
  async fillDisk(): Promise<void> {
    if (this.options.diskMegabytes === undefined) throw new Error(`${this.name} has no own disk`);
    await this.sh(`head -c 100G /dev/zero >${filler}`);
  }

  async freeDisk(): Promise<void> {
    await this.must(`rm -f ${filler}`);
  }

  /** Kills dockerd (and what it keeps beside it) without warning; containers live on. */
  async killDocker(): Promise<void> {
    await this.must('kill -9 $(cat /var/run/docker.pid)');
  }

  /** Starts a program on the machine. */
  spawn(command: string[], options: SpawnOptions = {}): ChildProcess {
    if (this.#initPid === undefined) throw new Error(`${this.name} is off`);
    const target = ['-t', String(this.#initPid), '-m', '-u', '-i', '-p', '-n', '-r', '-w'];
    return spawn('nsenter', [...target, '--', ...command], {
      ...options,
      env: machineEnv(options.env),
    });
  }

  /** Runs a shell command on the machine and waits for its end. */
  sh(script: string, options: ShellOptions = {}): Promise<Output> {
    return new Promise((resolve, reject) => {
      const child = this.spawn(['bash', '-c', script], {
        env: options.env,
        stdio: ['pipe', 'pipe', 'pipe'],
      });
      const output: Output = { code: -1, stdout: '', stderr: '' };
      const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 120_000);
      child.stdout?.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
      child.stderr?.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
      if (options.isShown) {
        child.stdout?.pipe(process.stdout, { end: false });
        child.stderr?.pipe(process.stdout, { end: false });
      }
      child.on('error', reject);
      const settle = (code: number | null) => resolve({ ...output, code: code ?? -1 });
      child.on('close', settle);
      // A background process of the script may keep the pipes open: after its exit only what is in them is waited for.
      child.on('exit', (code) => {
        clearTimeout(timer);
        setTimeout(() => setImmediate(settle, code), drainMs);
      });
      // A command may end before it has read its input; its exit code says how it went.
      child.stdin?.on('error', ignoreAbsent);
      child.stdin?.end(options.input ?? '');
    });
  }

  /** Like sh, but a failure throws with what the command said. */
  async must(script: string, options: ShellOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.sh(script, options);
    if (code !== 0)
      throw new Error(
        `on ${this.name}: ${script}: exit ${code}\n${stdout.slice(-4000)}\n${stderr.slice(-4000)}`,
      );
    return stdout;
  }

  /** A copy of the committed and uncommitted files of this checkout, as `git clone` would make it. */
  async copyProject(target: string): Promise<void> {
    const list = join(this.folder, 'files');
    const files = await run(
      'git',
      ['ls-files', '-z', '--cached', '--others', '--exclude-standard'],
      { cwd: project, maxBuffer: 1e8 },
    );
    const present = [];
    for (const name of files.stdout.split('\0'))
      if (name && (await exists(join(project, name)))) present.push(name);
    await writeFile(list, present.join('\n'));
    await mkdir(join(this.root, target), { recursive: true });
    await run('sh', [
      '-c',
      `tar -C '${project}' -cf - -T '${list}' | tar -C '${join(this.root, target)}' -xf - --no-same-owner`,
    ]);
  }

  async #makeDisk(megabytes: number): Promise<void> {
    const file = join(this.folder, 'disk');
    await run('truncate', ['-s', `${megabytes}M`, file]);
    await run('mkfs.ext4', ['-q', '-m', '0', '-E', 'lazy_itable_init=1', file]);
    await run('mount', ['-o', 'loop', file, this.root]);
  }

  async destroy(): Promise<void> {
    await this.powerOff();
    await run('umount', ['-l', this.root]).catch(ignoreAbsent);
    await this.#unplug();
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

/** What a machine has besides packages: what Docker and Gantry keep, what people left, caches. */
const notPackages = ['var/lib/docker/*', 'var/lib/containerd/*', 'var/lib/gantry', 'root/*']
  .concat(['root/.[!.]*', 'tmp/*', 'run/*', 'var/log/*', 'var/cache/apt/archives/*'])
  .concat(['usr/local/bin/gantry']);

async function copyPackages(from: string, to: string): Promise<void> {
  const leaveOut = notPackages.map((path) => `--exclude='./${path}'`).join(' ');
  const pack = `tar -C '${from}' --one-file-system --numeric-owner -cf - ${leaveOut} .`;
  await run('bash', ['-c', `set -o pipefail; ${pack} | tar -C '${to}' --numeric-owner -xf -`]);
}

function ignoreAbsent(): undefined {
  return undefined;
}

/** What a login on the machine would have, and where the test's own machine needs it, its CA bundle. */
function machineEnv(extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const bundle = process.env.NODE_EXTRA_CA_CERTS
    ? { NODE_EXTRA_CA_CERTS: '/etc/ssl/certs/ca-certificates.crt' }
    : {};
  const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  return {
    PATH: path,
    HOME: '/root',
    LANG: 'C.UTF-8',
    DEBIAN_FRONTEND: 'noninteractive',
    ...bundle,
    ...extra,
  };
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** The bridge between test machines, with a way out through this machine. */
async function ensureUnderlay(): Promise<void> {
  if (await exists(`/sys/class/net/${bridge}`)) return;
  const { stdout } = await run('ip', ['-o', 'addr', 'show', 'to', `${underlay}.1/32`]);
  if (stdout !== '')
    throw new Error(`${underlay}.0/24 is taken: run it in a folder of another name\n${stdout}`);
  await run('ip', ['link', 'add', bridge, 'type', 'bridge']);
  await run('ip', ['addr', 'add', `${underlay}.1/24`, 'dev', bridge]);
  await run('ip', ['link', 'set', bridge, 'up']);
  for (const rule of underlayRules)
    await run('iptables', [...rule.slice(0, 2), '-I', ...rule.slice(2)]);
  await run('sysctl', ['-qw', 'net.ipv4.ip_forward=1']);
}

const underlayRules = [
  ['-t', 'filter', 'FORWARD', '-i', bridge, '-j', 'ACCEPT'],
  ['-t', 'filter', 'FORWARD', '-o', bridge, '-j', 'ACCEPT'],
  ['-t', 'nat', 'POSTROUTING', '-s', `${underlay}.0/24`, '!', '-o', bridge, '-j', 'MASQUERADE'],
];

/** Unless a machine of this checkout is still on it. */
export async function removeUnderlay(): Promise<void> {
  const ports = await readdir(`/sys/class/net/${bridge}/brif`).catch(ignoreAbsent);
  if (ports === undefined || ports.length > 0) return;
  for (const rule of underlayRules) {
    await run('iptables', [...rule.slice(0, 2), '-D', ...rule.slice(2)]).catch(ignoreAbsent);
  }
  await run('ip', ['link', 'del', bridge]);
}

/** A tar of a minimal Debian, made once a checkout and day; its apt uses this machine's sources. */
async function baseFileSystem(suite: string): Promise<string> {
  const cache = join(project, '.tmp', `debian-${suite}.tar`);
  if (await exists(cache)) return cache;
  await mkdir(join(project, '.tmp'), { recursive: true });
  const script = join(import.meta.dirname, 'make-debian.sh');
  await run('bash', [script, suite, `${cache}.part`], { maxBuffer: 1e8 });
  await run('mv', [`${cache}.part`, cache]);
  return cache;
}
