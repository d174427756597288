// One scripted container: its state, its output, and who watches it. It lives on while the engine is away.

import { Duplex } from 'node:stream';
import type { Clock, Timer } from '#core/clock';
import { encodeFrame, type StreamName } from './docker/frames.ts';
import type { Behaviour } from './fake-behaviour.ts';
import type { AttachStreams, Container, ContainerSpec } from './runtime.ts';

const killedExitCode = 137;
const terminatedExitCode = 143;
/** Output that is kept for a later attach, pieces. */
const maxOutput = 1000;

export class FakeProcess {
  readonly id: string;
  readonly spec: ContainerSpec;
  readonly behaviour: Behaviour;
  readonly imageId: string;
  state: Container['state'] = 'created';
  /** A start that the engine is busy with. */
  starting: Promise<void> | undefined;
  #exitCode: number | undefined;
  #isOutOfMemory = false;
  readonly #createdAt: number;
  #startedAt: number | undefined;
  /** A process does not look at the wall clock to become healthy. */
  #startedMonotonicMs = 0;
  #finishedAt: number | undefined;
  #timers: Timer[] = [];
  #output: { stream: StreamName; text: string }[] = [];
  #attached = new Set<{ socket: Duplex; streams: AttachStreams }>();
  readonly #clock: Clock;
  readonly #onChange: (process: FakeProcess, action: 'start' | 'die' | 'oom') => void;

  constructor(
    made: { id: string; imageId: string; spec: ContainerSpec; behaviour: Behaviour },
    clock: Clock,
    onChange: (process: FakeProcess, action: 'start' | 'die' | 'oom') => void,
  ) {
    this.id = made.id;
    this.imageId = made.imageId;
    this.spec = made.spec;
    this.behaviour = made.behaviour;
    this.#clock = clock;
    this.#onChange = onChange;
    this.#createdAt = clock.now();
  }

  start(): void {
    const { runForMs, stdout, stderr, isOutOfMemory, exitCode } = this.behaviour;
    this.state = 'running';
    this.#startedAt = this.#clock.now();
    this.#startedMonotonicMs = this.#clock.monotonicMs();
    this.#exitCode = undefined;
    this.#finishedAt = undefined;
    this.#onChange(this, 'start');
    if (stdout !== undefined) this.#say('stdout', stdout);
    if (stderr !== undefined) this.#say('stderr', stderr);
    if (runForMs === undefined) return;
    const end = () => (isOutOfMemory ? this.killByMemory() : this.exit(exitCode ?? 0));
    if (runForMs === 0) end();
    else this.#after(runForMs, end);
  }

  exit(code: number): void {
    if (this.state !== 'running') return;
    for (const timer of this.#timers.splice(0)) timer.cancel();
    this.state = 'exited';
    this.#exitCode = code;
    this.#finishedAt = this.#clock.now();
    for (const { socket } of this.#attached) socket.push(null);
    this.#attached.clear();
    this.#onChange(this, 'die');
  }

  killByMemory(): void {
    if (this.state !== 'running') return;
    this.#isOutOfMemory = true;
    this.#onChange(this, 'oom');
    this.exit(killedExitCode);
  }

  signal(name: string): void {
    if (this.state !== 'running') return;
    const short = name.replace(/^SIG/, '');
    if (short === 'KILL') this.exit(killedExitCode);
    if (this.behaviour.ignoresTerm || !['TERM', 'INT', 'QUIT', 'HUP'].includes(short)) return;
    const code = this.behaviour.exitCode ?? terminatedExitCode;
    if (this.behaviour.stopMs === undefined) this.exit(code);
    else this.#after(this.behaviour.stopMs, () => this.exit(code));
  }

  get isHealthy(): boolean {
    if (this.state !== 'running' || this.behaviour.neverHealthy) return false;
    const sinceMs = this.#clock.monotonicMs() - this.#startedMonotonicMs;
    return sinceMs >= (this.behaviour.healthyAfterMs ?? 0);
  }

  attach(streams: AttachStreams): Duplex {
    const process = this;
    const socket = new Duplex({
      allowHalfOpen: true,
      read() {},
      write(chunk: Buffer, _encoding, done) {
        if (streams.stdin && process.behaviour.echoes) process.#say('stdout', chunk.toString());
        done();
      },
      final(done) {
        if (streams.stdin && process.behaviour.echoes) process.exit(0);
        done();
      },
    });
    const watcher = { socket, streams };
    if (streams.logs)
      for (const { stream, text } of this.#output) this.#send(watcher, stream, text);
    if (this.state === 'exited') socket.push(null);
    else this.#attached.add(watcher);
    socket.once('close', () => this.#attached.delete(watcher));
    return socket;
  }

  describe(): Container {
    const { spec } = this;
    return {
      id: this.id,
      name: spec.name,
      image: this.imageId,
      labels: { ...spec.labels },
      state: this.state,
      isOutOfMemory: this.#isOutOfMemory,
      createdAt: this.#createdAt,
      ...(this.state === 'exited' ? { exitCode: this.#exitCode ?? 0 } : {}),
      ...(this.#startedAt === undefined ? {} : { startedAt: this.#startedAt }),
      ...(this.#finishedAt === undefined ? {} : { finishedAt: this.#finishedAt }),
      ...(spec.network.kind === 'app' ? { ip: spec.network.ip } : {}),
      ...(this.state === 'running' ? { pid: 1 } : {}),
      ...(this.state === 'created'
        ? {}
        : { logPath: `/fake/containers/${this.id}/${this.id}-json.log` }),
    };
  }

  #after(ms: number, fire: () => void): void {
    this.#timers.push(this.#clock.timer(ms, fire));
  }

  #say(stream: StreamName, text: string): void {
    this.#output.push({ stream, text });
    if (this.#output.length > maxOutput) this.#output.shift();
    for (const watcher of this.#attached) this.#send(watcher, stream, text);
  }

  #send(watcher: { socket: Duplex; streams: AttachStreams }, stream: StreamName, text: string) {
    const isWanted = stream === 'stderr' ? watcher.streams.stderr : watcher.streams.stdout;
    if (!isWanted) return;
    const data = Buffer.from(text);
    watcher.socket.push(this.spec.tty ? data : encodeFrame(stream, data));
  }
}
