// One bare TCP connection: the app says first who it is, then every line must come back, and only this side may end it.

import { connect } from 'node:net';
import type { Answer, LoadOptions } from './client.ts';
import { Failure, failureOf, judge } from './failure.ts';

/** The greeting is the body of the answer; its first word is the instance. */
export function talkTcp(options: LoadOptions): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const { address, port, messages = 5, pauseMs, timeoutMs = 10_000 } = options;
  const socket = connect({ host: address, port });
  let greeting: string | undefined;
  let echoed = 0;
  let rest = '';
  const limit = setTimeout(() => {
    reject(new Failure('timeout', `${echoed} of ${messages} echoes within ${timeoutMs} ms`));
    socket.destroy();
  }, timeoutMs);
  const next = () => {
    if (echoed === messages) socket.end();
    else socket.write(`line ${echoed}\n`);
  };
  const take = (line: string) => {
    if (greeting === undefined) greeting = line;
    else if (line === `line ${echoed}`) echoed++;
    else return reject(new Failure('body', `echo ${echoed} was ${line.slice(0, 60)}`));
    if (pauseMs) setTimeout(next, pauseMs);
    else next();
  };
  socket.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) take(line);
  });
  socket.on('error', (error) => reject(failureOf(error)));
  socket.on('close', () => {
    if (greeting === undefined || echoed < messages)
      return reject(new Failure('truncated', `ended after ${echoed} of ${messages} echoes`));
    const instance = greeting.split(' ')[0] ?? '';
    const answer = { status: 200, headers: { 'x-instance': instance }, body: greeting };
    const problem = judge(options, answer);
    if (problem) reject(problem);
    else resolve(answer);
  });
  return promise.finally(() => clearTimeout(limit));
}
