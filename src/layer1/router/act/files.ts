// Files that HAProxy reads: replaced whole and durably, so that a HAProxy or a machine that dies finds old or new, never half.

import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

export class TableFiles {
  readonly #known = new Map<string, string>();

  /** Writes when the text differs from what is there; true when it did. */
  async write(path: string, text: string, mode = 0o644): Promise<boolean> {
    if ((this.#known.get(path) ?? (await readText(path))) === text) {
      this.#known.set(path, text);
      return false;
    }
    await mkdir(dirname(path), { recursive: true });
    const temporary = `${path}.new`;
    const file = await open(temporary, 'w', mode);
    try {
      await file.writeFile(text);
      await file.datasync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    this.#known.set(path, text);
    return true;
  }

  async remove(path: string): Promise<void> {
    this.#known.delete(path);
    await rm(path, { force: true });
  }

  /** What was written before this process, or by another one, counts no more. */
  forget(): void {
    this.#known.clear();
  }
}

/** Undefined when there is no such file. */
export async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Names in a folder; none when it does not exist. */
export async function namesIn(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
