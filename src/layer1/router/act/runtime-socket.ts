// Speaks to one HAProxy worker: commands in, answers out, in order. No decisions.
// The current worker answers on its runtime socket; one that finishes its last connections only through its master.

import { connect } from 'node:net';
import { routerErrors } from '../errors.ts';

/** Longest wait for the next bytes of an answer. */
const silenceMs = 5_000;
/** Commands sent before their answers are awaited. */
const pipelined = 64;

export interface Channel {
  /** One answer a command. Rejects with router.proxyUnreachable when the worker is gone or hangs. */
  run(commands: readonly string[]): Promise<string[]>;
}

/** HAProxy's own socket: one connection for all commands, answers told apart by its prompt. */
export function socketChannel(path: string): Channel {
  return {
    async run(commands) {
      const answers: string[] = [];
      let batch: string[] = [];
      const flush = async () => {
        if (batch.length > 0) answers.push(...(await converse(path, batch)));
        batch = [];
      };
      for (const command of commands) {
        if (command.includes('\n')) {
          // A payload changes the prompt, so that it gets a connection of its own.
          await flush();
          answers.push(await askOnce(path, command));
        } else if (batch.push(command) === pipelined) await flush();
      }
      await flush();
      return answers;
    },
  };
}

/** A worker behind its master, by process id. */
export function masterChannel(path: string, pid: number): Channel {
  return {
    async run(commands) {
      const answers: string[] = [];
      for (const command of commands) answers.push(await askOnce(path, `@!${pid} ${command}`));
      return answers;
    },
  };
}

function converse(path: string, commands: readonly string[]): Promise<string[]> {
  return talk(path, `prompt\n${commands.join('\n')}\n`, (text) => {
    const parts = text.split(/\n> /);
    // The first prompt answers `prompt` itself, and what follows the last one is still to come.
    return parts.length > commands.length + 1 ? parts.slice(1, commands.length + 1) : undefined;
  });
}

/** One command on a connection of its own: this side says it has ended, the answer ends where HAProxy closes. */
export function askOnce(path: string, command: string): Promise<string> {
  return talk(path, `${command}\n`, (text, isEnd) => (isEnd ? text : undefined));
}

function talk<T>(
  path: string,
  input: string,
  read: (text: string, isEnd: boolean) => T | undefined,
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const chunks: string[] = [];
  const socket = connect(path);
  const fail = (why: string, cause?: unknown) => {
    socket.destroy();
    const what = input.split('\n').find((line) => line !== 'prompt');
    const message = `HAProxy at ${path} ${why} (${what}); it goes on by its last table`;
    reject(routerErrors.proxyUnreachable(message, { cause }));
  };
  const settle = (isEnd: boolean) => {
    const answer = read(chunks.join(''), isEnd);
    if (answer === undefined) return isEnd ? fail('closed the connection early') : undefined;
    socket.destroy();
    return resolve(answer);
  };
  socket.setEncoding('utf8');
  socket.setTimeout(silenceMs, () => fail(`was silent for ${silenceMs} ms`));
  socket.on('error', (error) => fail('does not answer', error));
  socket.on('data', (text: Buffer | string) => {
    chunks.push(String(text));
    if (/(^|\n)> ?$/.test(chunks.slice(-2).join(''))) settle(false);
  });
  socket.on('end', () => settle(true));
  socket.on('connect', () =>
    input.startsWith('prompt\n') ? socket.write(input) : socket.end(input),
  );
  return promise;
}
