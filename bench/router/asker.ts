// A client in a process of its own: asks for a host at a steady pace until a certain instance answers, and says when
// that was and what failed on the way.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { systemClock } from '#core/clock';

const paceMs = 1;

export interface Question {
  port: number;
  host: string;
  instance: string;
}

export interface Hit {
  /** Of the machine's monotonic clock, which all processes share. */
  atMs: number;
  requests: number;
  failed: number;
}

export const sharedMs = () => Number(process.hrtime.bigint()) / 1e6;

export class Asker {
  readonly #child: ChildProcess = fork(import.meta.filename, ['ask']);

  /** Resolves when the first request has been answered by any instance: from then on it asks. */
  async begin(question: Question): Promise<{ hit: Promise<Hit> }> {
    const hit = Promise.withResolvers<Hit>();
    const begun = Promise.withResolvers<void>();
    const listen = (message: 'begun' | Hit) => {
      if (message === 'begun') return begun.resolve();
      this.#child.off('message', listen);
      hit.resolve(message);
    };
    this.#child.on('message', listen);
    this.#child.send(question);
    await begun.promise;
    return { hit: hit.promise };
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.kill();
    await ended;
  }
}

/** The instance that answered; undefined when the request failed. */
function ask({ port, host }: Question, agent: Agent): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const call = request({ host: '127.0.0.1', port, headers: { host }, agent }, (answer) => {
    answer.resume();
    answer.on('end', () =>
      resolve(answer.statusCode === 200 ? String(answer.headers['x-instance']) : undefined),
    );
    answer.on('error', () => resolve(undefined));
  });
  call.on('error', () => resolve(undefined));
  call.end();
  return promise;
}

async function answer(question: Question): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const hit: Hit = { atMs: 0, requests: 0, failed: 0 };
  for (;;) {
    const instance = await ask(question, agent);
    hit.atMs = sharedMs();
    hit.requests++;
    if (instance === undefined) hit.failed++;
    if (hit.requests === 1) process.send?.('begun');
    if (instance === question.instance) break;
    await systemClock.sleep(paceMs);
  }
  agent.destroy();
  process.send?.(hit);
}

if (process.argv[2] === 'ask') process.on('message', (question: Question) => void answer(question));
