// What the runtime contract is run against, and the small things its tests are made of.

import { Readable } from 'node:stream';
import { pack } from 'tar-stream';
import type { ContainerSpec, Runtime } from './runtime.ts';

/** What a container in the contract does. */
export type Program =
  | { kind: 'runs' }
  | { kind: 'ignoresTerm' }
  | { kind: 'exits'; code: number }
  | { kind: 'says'; stdout: string; stderr: string }
  | { kind: 'echoes' }
  | { kind: 'exhaustsMemory' }
  | { kind: 'isMissing' }
  | { kind: 'cannotStart' };

export interface ContractSubject {
  runtime: Runtime;
  /** An image on the machine whose programs `command` names. */
  image: string;
  command(program: Program): string[];
  /** Prefix of every name, and a label value that nothing else has. */
  name: string;
  /** Lets time pass until the promise settles; fails when that takes too long. */
  settle<T>(promise: Promise<T>): Promise<T>;
  /** A network that no other test uses. */
  network: { subnet: string; gateway: string; bridge: string; ip: string; mac: string };
  /** Removes what the contract made and the subject itself. */
  release(): Promise<void>;
}

const memoryBytes = 32 * 1024 * 1024;

export function contractSpec(subject: ContractSubject, name: string, program: Program) {
  const spec: ContainerSpec = {
    name: `${subject.name}-${name}`,
    image: subject.image,
    command: subject.command(program),
    env: { GREETING: 'hello' },
    labels: { 'gantry.test': subject.name, 'gantry.job': name, 'gantry.attempt': '1' },
    network: { kind: 'none' },
    binds: [],
    memoryBytes,
    cpuMillis: 500,
    pids: 64,
    tty: false,
    openStdin: program.kind === 'echoes',
    capabilities: [],
    logMaxBytes: 1_000_000,
    logMaxFiles: 2,
  };
  return spec;
}

/** A build context as a tar: names and contents. */
export function tarOf(files: Record<string, string | Buffer>): Readable {
  const archive = pack();
  for (const [name, content] of Object.entries(files))
    archive.entry({ name, mode: 0o755 }, content);
  archive.finalize();
  return Readable.from(archive);
}
