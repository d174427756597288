// One call of git's smart protocol: a git process between the request's body and the answer's. Git's own checks decide what is
// a pack; here are the limits around it.

import type { ChildProcess } from 'node:child_process';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { type AppError, toAppError } from '#core/errors';
import type { GitReceiverConfig } from './config.ts';
import { gitErrors } from './errors.ts';
import { endGit, exitStatus, lastWords, runGit, startGit } from './git-process.ts';

export type ServiceName = 'receive-pack' | 'upload-pack';

export interface ServiceCall {
  service: ServiceName;
  repository: string;
  /** Of the git process: which hook to call, protocol version. */
  env: Record<string, string>;
  /** Extra `-c name=value`. */
  settings: string[];
}

/** Settings of every receive-pack: what a push may contain and do. `maxInputSize` is added from the configuration. */
const receiveSettings = [
  'receive.fsckObjects=true',
  // Old history has harmless flaws that nobody can mend any more.
  'receive.fsck.zeroPaddedFilemode=ignore',
  'receive.fsck.badTimezone=ignore',
  'receive.fsck.missingSpaceBeforeDate=ignore',
  'receive.denyNonFastForwards=false',
  'receive.denyDeleteCurrent=ignore',
  'receive.shallowUpdate=true',
  'receive.keepAlive=5',
  'receive.autogc=false',
];

/** Memory of the receiver is bounded: large files are streamed, deltas are looked for in little of it. */
const memorySettings = [
  'core.bigFileThreshold=16m',
  'pack.threads=1',
  'pack.windowMemory=32m',
  'pack.deltaCacheSize=16m',
];

/** Room for what surrounds the pack in a request. */
const framingBytes = 1024 * 1024;

export function receiveArguments(config: GitReceiverConfig, hooks: string): string[] {
  return [
    `receive.maxInputSize=${config.maxPackBytes}`,
    `core.hooksPath=${hooks}`,
    ...receiveSettings,
  ];
}

function argumentsOf({ service, settings, repository }: ServiceCall, isAdvertising: boolean) {
  const flags = [...memorySettings, ...settings].flatMap((setting) => ['-c', setting]);
  const advertise = isAdvertising ? ['--http-backend-info-refs'] : [];
  return [...flags, service, '--stateless-rpc', ...advertise, repository];
}

/** The refs of a repository, two branches at most, with the line in front that smart HTTP wants. */
export async function readAdvertisement(call: ServiceCall): Promise<string> {
  const args = argumentsOf(call, true);
  const refs = await runGit({ args, cwd: call.repository, env: call.env });
  const line = `# service=git-${call.service}\n`;
  return `${(line.length + 4).toString(16).padStart(4, '0')}${line}0000${refs}`;
}

/** Runs the service over a request. Refuses with an error while nothing has been answered; afterwards ends the answer. */
export async function serve(
  call: ServiceCall,
  { request, response }: { request: IncomingMessage; response: ServerResponse },
  config: GitReceiverConfig,
): Promise<void> {
  const child = startGit({ args: argumentsOf(call, false), cwd: call.repository, env: call.env });
  const end = () => endGit(child);
  response.once('close', end);
  const input = feed(child, request, config);
  const [status, words, inputProblem] = await Promise.all([
    exitStatus(child),
    lastWords(child),
    input,
    answer(child, response, call.service),
  ]);
  response.off('close', end);
  if (response.headersSent) return void response.end();
  if (response.destroyed) return;
  if (inputProblem) throw inputProblem;
  // Before a push that it sends in pieces git asks with an empty one whether it may, and wants an empty answer.
  if (status === 0) return void response.writeHead(200, answerHeaders(call.service)).end();
  throw gitErrors.badRequest(
    `git ${call.service} did not understand the request (${status}): ${words || 'no reason given'}`,
  );
}

/** Resolves with what was wrong with the body; a git process that has heard enough is no problem. */
async function feed(
  child: ChildProcess,
  request: IncomingMessage,
  config: GitReceiverConfig,
): Promise<AppError | undefined> {
  const maxBytes = config.maxPackBytes + framingBytes;
  let bytes = 0;
  const meter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      if (bytes <= maxBytes) return done(null, chunk);
      const limitMb = Math.floor(config.maxPackBytes / 1024 / 1024);
      done(gitErrors.tooLarge(`the push has more than ${limitMb} MB`));
    },
  });
  request.setTimeout(config.idleTimeoutMs, () => {
    if (!request.readableEnded)
      request.destroy(gitErrors.badRequest(`nothing came for ${config.idleTimeoutMs} ms`));
  });
  const isPacked = request.headers['content-encoding'] === 'gzip';
  const source: Readable[] = isPacked ? [request, createGunzip()] : [request];
  try {
    if (child.stdin) await pipeline([...source, meter, child.stdin]);
    return undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EPIPE') return undefined;
    endGit(child);
    const known = toAppError(error);
    return known.code === 'core.internal'
      ? gitErrors.badRequest(`the request broke off: ${known.message}`, { cause: error })
      : known;
  }
}

/** Passes git's words on as they come. The head waits for the first of them, so that a refusal can still be one. */
async function answer(
  child: ChildProcess,
  response: ServerResponse,
  service: ServiceName,
): Promise<void> {
  for await (const chunk of child.stdout ?? []) {
    if (response.destroyed) break;
    if (!response.headersSent) response.writeHead(200, answerHeaders(service));
    if (!response.write(chunk)) await drained(response);
  }
}

function answerHeaders(service: ServiceName): Record<string, string> {
  return {
    'content-type': `application/x-git-${service}-result`,
    'cache-control': 'no-cache',
    'x-accel-buffering': 'no',
  };
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.once('drain', done).once('close', done);
  });
}
