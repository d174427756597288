// A configuration file rendered from what is known: written whole and only when it changed, then the program that reads it
// is told. Triggers that come together are one write; a failed reload is tried again although the file is right by then.

import { open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import type { Clock, Timer } from '#core/clock';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import { createLoop, type LoopStatus } from '#core/reconcile';

export interface RendererDeps {
  clock: Clock;
  random: Random;
  log: Log;
}

export interface RendererOptions {
  path: string;
  /** The whole file; undefined when not enough is known yet to write one. Pure: called as often as anything changes. */
  render(): string | undefined;
  /** Subscribes to whatever `render` reads; returns how to stop. */
  watch(trigger: () => void): () => void;
  /** Tells the reader of the file. Called once for each content, and again after it failed. */
  reload?(path: string, signal: AbortSignal): Promise<void>;
  /** Mode of the file; 0644 when absent. */
  mode?: number;
  /** Renders again this often without being told, for what no watch can see, milliseconds. */
  resyncMs?: number;
}

export interface Renderer {
  start(): void;
  stop(): Promise<void>;
  /** Asks for a look: cheap when nothing changed. */
  trigger(): void;
  status(): { writes: number; loop: LoopStatus };
}

const defaultResyncMs = 30_000;
/** A reader does not wait for the disk. This long a power cut may undo a change, and not longer. */
const syncDelayMs = 1_000;

export function createRenderer(deps: RendererDeps, options: RendererOptions): Renderer {
  const { path } = options;
  let unwatch: (() => void) | undefined;
  let written: string | undefined;
  /** What the reader was last told about; a reload that is owed survives a failure. */
  let told: string | undefined;
  let writes = 0;
  let syncTimer: Timer | undefined;

  async function sync(): Promise<void> {
    syncTimer?.cancel();
    syncTimer = undefined;
    await syncFile(path).catch((err) => deps.log.warn({ path, err }, 'not written to the disk'));
  }

  const loop = createLoop({
    name: `render ${path}`,
    resyncMs: options.resyncMs ?? defaultResyncMs,
    ...deps,
    async run(signal) {
      const text = options.render();
      if (text === undefined) return;
      written ??= await readIfThere(path);
      if (text !== written) {
        await replaceFile(path, text, options.mode ?? 0o644);
        written = text;
        writes++;
        syncTimer ??= deps.clock.timer(syncDelayMs, () => void sync());
      }
      if (told === text) return;
      await options.reload?.(path, signal);
      told = text;
    },
  });

  return {
    start() {
      unwatch ??= options.watch(() => loop.trigger());
      loop.start();
    },
    async stop() {
      unwatch?.();
      unwatch = undefined;
      await loop.stop();
      if (syncTimer) await sync();
    },
    trigger: () => loop.trigger(),
    status: () => ({ writes, loop: loop.status() }),
  };
}

/** A reader sees the old file or the new one. */
async function replaceFile(path: string, text: string, mode: number): Promise<void> {
  const next = `${path}.next`;
  try {
    await writeFile(next, text, { mode });
    await rename(next, path);
  } catch (error) {
    await rm(next, { force: true });
    throw error;
  }
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path);
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
