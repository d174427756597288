// A build by the engine's classic builder: its progress as lines, its failure as the step that failed.

import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { AppError, coreErrors, hasCode } from '#core/errors';
import { fromNdjson } from '#core/stream';
import { imageErrors } from '#layer0/images/client';
import type { BuildOptions } from '#layer0/images/wire';
import type { Engine } from './containers.ts';
import { buildQuery } from './image-body.ts';
import type { EngineTransport } from './transport.ts';

/** Longest line of build output that is passed on whole; the rest of it follows as lines of its own. */
const maxLineLength = 16 * 1024;

export interface BuildMessage {
  stream?: string;
  status?: string;
  id?: string;
  aux?: { ID?: string };
  error?: string;
  errorDetail?: { code?: number; message?: string };
}

/** Turns messages into lines and remembers what the outcome needs. Pure but for its own state. */
export class BuildProgress {
  #rest = '';
  #step = '';
  imageId: string | undefined;

  /** Whole lines that this message completes. Throws images.buildFailed. */
  take(message: BuildMessage): string[] {
    if (message.aux?.ID) this.imageId = message.aux.ID;
    if (message.error !== undefined || message.errorDetail) throw this.#failure(message);
    if (message.status !== undefined)
      return this.flush().concat([message.id, message.status].filter(Boolean).join(': '));
    this.#rest += message.stream ?? '';
    const lines = this.#rest.split('\n');
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length > maxLineLength) lines.push(...this.flush());
    for (const line of lines) if (/^Step \d+\/\d+ : /.test(line)) this.#step = line;
    return lines.map((line) => line.replace(/\r$/, ''));
  }

  flush(): string[] {
    const rest = this.#rest;
    this.#rest = '';
    return rest ? [rest] : [];
  }

  #failure({ error, errorDetail }: BuildMessage): AppError {
    const reason = errorDetail?.message ?? error ?? 'no reason given';
    return buildFailure(this.#step, reason, errorDetail?.code);
  }
}

function buildFailure(step: string, reason: string, exitCode?: number): AppError {
  const place = step ? ` at ${step.replace(' : ', ' (')})` : '';
  return imageErrors.buildFailed(`the build failed${place}: ${reason}`, {
    detail: { step, ...(exitCode === undefined ? {} : { exitCode }) },
  });
}

/** Yields lines; returns the id of the image. Ends by itself after `timeoutMs` or with the signal: hanging up stops the engine. */
export async function* runBuild(
  { transport, clock }: Engine,
  tar: Readable,
  options: BuildOptions,
  signal: AbortSignal,
): AsyncGenerator<{ line: string }, string> {
  const limit = new AbortController();
  const timer = clock.timer(options.timeoutMs, () => limit.abort());
  const stop = AbortSignal.any([signal, limit.signal]);
  const progress = new BuildProgress();
  try {
    const response = await begin(transport, tar, options, stop);
    const hangUp = () => void response.destroy();
    stop.addEventListener('abort', hangUp, { once: true });
    try {
      for await (const message of fromNdjson<BuildMessage>(response))
        for (const line of progress.take(message)) yield { line };
    } finally {
      stop.removeEventListener('abort', hangUp);
      response.destroy();
    }
    for (const line of progress.flush()) yield { line };
    if (progress.imageId) return progress.imageId;
    throw imageErrors.buildFailed('the build failed: the engine ended it without an image');
  } catch (error) {
    if (signal.aborted) throw coreErrors.aborted(`the build of ${options.tag} was cancelled`);
    if (limit.signal.aborted)
      throw imageErrors.buildFailed(
        `the build of ${options.tag} took longer than its limit of ${options.timeoutMs / 1000} s`,
      );
    throw error instanceof AppError ? error : brokenOff(options, error);
  } finally {
    timer.cancel();
    tar.destroy();
  }
}

async function begin(
  transport: EngineTransport,
  tar: Readable,
  options: BuildOptions,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const call = { method: 'POST', path: '/build', attempt: `build ${options.tag}` } as const;
  const query = buildQuery(options);
  const timeoutMs = options.timeoutMs;
  try {
    return await transport.open({ ...call, query, tar, timeoutMs, signal });
  } catch (error) {
    // A Dockerfile that does not parse, is empty or is not there is refused before the first step: 400 or 500.
    const isFault = hasCode(error, 'engine.refused') || hasCode(error, 'engine.failed');
    if (!isFault || !(error instanceof AppError) || /no space left/.test(error.message))
      throw error;
    throw imageErrors.buildFailed(error.message, { cause: error });
  }
}

function brokenOff(options: BuildOptions, cause: unknown): AppError {
  return coreErrors.unreachable(`the build of ${options.tag} broke off: the engine hung up`, {
    cause,
  });
}
