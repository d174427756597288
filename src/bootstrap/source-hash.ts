// Which version of the sources is this? The images carry the answer as their tag, so that nothing is built twice.

import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** 12 hex digits over the names and contents of these files and folders, tests left out. */
export async function hashOf(root: string, paths: string[], salt = ''): Promise<string> {
  const hash = createHash('sha256').update(salt);
  for (const path of paths) {
    for (const file of await filesBelow(root, path)) {
      hash
        .update(`${file}\0`)
        .update(await readFile(join(root, file)))
        .update('\0');
    }
  }
  return hash.digest('hex').slice(0, 12);
}

async function filesBelow(root: string, path: string): Promise<string[]> {
  let entries: { name: string; isDirectory(): boolean }[];
  try {
    entries = await readdir(join(root, path), { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return [path];
    throw error;
  }
  const lists = await Promise.all(
    entries
      .filter(({ name }) => !name.endsWith('.test.ts') && !name.endsWith('.md'))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map((entry) =>
        entry.isDirectory() ? filesBelow(root, join(path, entry.name)) : [join(path, entry.name)],
      ),
  );
  return lists.flat();
}
