// `gantry version`

import { readFile } from 'node:fs/promises';
import type { Call } from '../command.ts';

export async function showVersion({ out, args }: Call): Promise<undefined> {
  const text = await readFile(new URL('../../../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(text) as { version: string };
  if (args.has('json')) return out.json({ gantry: version, node: process.version });
  out.line(`gantry ${version} (node ${process.version})`);
}
