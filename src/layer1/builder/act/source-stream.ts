// What a build job reads on its stdin: the app's config as entries of a tar, then the source archive itself, as one archive.
// Config goes this way so that it is never part of a job's stored spec.

import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pack } from 'tar-stream';
import { reservedFolder } from './spool-source.ts';

/** An archive ends with two blocks of zeros; without them the next one continues it. */
const trailerBytes = 1024;

export interface SourceStream {
  bytes: number;
  open(): Readable;
}

export async function sourceStream(
  env: Record<string, string>,
  source: { path: string; bytes: number },
): Promise<SourceStream> {
  const front = await envArchive(env);
  async function* parts() {
    yield front;
    yield* createReadStream(source.path);
  }
  return { bytes: front.length + source.bytes, open: () => Readable.from(parts()) };
}

async function envArchive(env: Record<string, string>): Promise<Buffer> {
  const archive = pack();
  archive.entry({ name: `${reservedFolder}/env/`, type: 'directory', mode: 0o700 });
  for (const [name, value] of Object.entries(env))
    archive.entry({ name: `${reservedFolder}/env/${name}`, mode: 0o600 }, value);
  archive.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of archive) chunks.push(chunk as Buffer);
  const whole = Buffer.concat(chunks);
  return whole.subarray(0, whole.length - trailerBytes);
}
