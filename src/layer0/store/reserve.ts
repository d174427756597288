// Room kept back on the disk, so that deletes still work when everything else has filled it.

import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  openSync,
  rmSync,
  statfsSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';

/** Enough for the log of some hundred deletes, bytes. */
export const reserveBytes = 4 * 1024 * 1024;
/** The reserve is taken back only when this much stays free beside it, so that it does not flap. */
const spareBytes = 2 * 1024 * 1024;

export class Reserve {
  readonly #path: string;
  isHeld: boolean;

  constructor(path: string) {
    this.#path = path;
    this.isHeld = existsSync(path) && statSync(path).size === reserveBytes;
    if (!this.isHeld) this.take();
  }

  /** Gives the room back to the disk; false when it was given already. */
  release(): boolean {
    if (!this.isHeld) return false;
    this.isHeld = false;
    rmSync(this.#path, { force: true });
    return true;
  }

  /** Takes the room; false when the disk does not have it. */
  take(): boolean {
    const { bavail, bsize } = statfsSync(dirname(this.#path));
    if (bavail * bsize < reserveBytes + spareBytes) return false;
    const { O_CREAT, O_WRONLY, O_TRUNC } = constants;
    const file = openSync(this.#path, O_CREAT | O_WRONLY | O_TRUNC, 0o600);
    try {
      // Not zeros: a file system that compresses would keep nothing of them.
      const block = Buffer.alloc(64 * 1024);
      for (let index = 0; index < block.length; index++)
        block[index] = (index * 2_654_435_761) >>> 9;
      for (let done = 0; done < reserveBytes; done += block.length) writeSync(file, block);
      fsyncSync(file);
      this.isHeld = true;
    } catch (error) {
      rmSync(this.#path, { force: true });
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    } finally {
      closeSync(file);
    }
    return this.isHeld;
  }
}
