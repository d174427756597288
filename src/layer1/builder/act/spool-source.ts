// Takes a source archive in: onto disk within the limit, then looked through entry by entry before anyone unpacks it.

import { createReadStream, createWriteStream } from 'node:fs';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Extract, extract } from 'tar-stream';
import { toAppError } from '#core/errors';
import type { SourceFacts } from '../decide/build-plan.ts';
import { maxProcfileBytes } from '../decide/process-types.ts';
import { builderErrors } from '../errors.ts';

type Entry = Extract extends AsyncIterable<infer Item> ? Item : never;

/** Most entries of one archive. */
const maxEntries = 200_000;

/** Entries of a tar that a source can have; devices and the like need root to unpack. */
const allowedTypes = new Set<string>(['file', 'contiguous-file', 'directory', 'symlink', 'link']);

/** Where the builder puts what is not source; no source may have it. */
export const reservedFolder = '.gantry-build';

/** Writes the archive to `path` and says what is in it; anything malformed is builder.badSource. */
export async function spoolSource(
  tar: Readable,
  path: string,
  limits: { maxBytes: number; signal: AbortSignal },
): Promise<SourceFacts> {
  const bytes = await writeLimited(tar, path, limits);
  const reader = extract();
  const read = pipeline(createReadStream(path), reader, { signal: limits.signal });
  try {
    const [facts] = await Promise.all([inspectEntries(reader), read]);
    return { ...facts, bytes };
  } catch (cause) {
    const known = toAppError(cause);
    if (known.code !== 'core.internal' || limits.signal.aborted) throw cause;
    throw builderErrors.badSource(`the source is not a complete tar archive: ${known.message}`, {
      cause,
    });
  }
}

async function writeLimited(
  tar: Readable,
  path: string,
  { maxBytes, signal }: { maxBytes: number; signal: AbortSignal },
): Promise<number> {
  let bytes = 0;
  const meter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      if (bytes <= maxBytes) return done(null, chunk);
      const limitMb = Math.round((maxBytes * 10) / 1024 / 1024) / 10;
      done(
        builderErrors.sourceTooLarge(
          `the source is larger than ${limitMb} MB: keep large files out of the repository`,
        ),
      );
    },
  });
  await pipeline(tar, meter, createWriteStream(path, { mode: 0o600 }), { signal });
  return bytes;
}

async function inspectEntries(entries: AsyncIterable<Entry>): Promise<Omit<SourceFacts, 'bytes'>> {
  let count = 0;
  let hasDockerfile = false;
  let procfile: string | undefined;
  for await (const entry of entries) {
    if (++count > maxEntries)
      throw builderErrors.badSource(`the source has more than ${maxEntries} files`);
    const name = checkedName(entry.header.name, entry.header.type ?? 'unknown entry');
    if (name === 'Dockerfile') hasDockerfile = true;
    if (name === 'Procfile' && entry.header.type === 'file')
      procfile = await entryText(entry, entry.header.size);
    else entry.resume();
  }
  if (count === 0) throw builderErrors.badSource('the source is empty: there is nothing to build');
  return { hasDockerfile, ...(procfile === undefined ? {} : { procfile }) };
}

/** The path of an entry without `./` in front; one that leaves the source or hides in our folder is refused. */
function checkedName(raw: string, type: string): string {
  const name = raw.replace(/^(\.\/)+/, '').replace(/\/$/, '');
  const parts = name.split('/');
  if (!allowedTypes.has(type))
    throw builderErrors.badSource(`${raw} is a ${type}: an app has files, folders and links only`);
  if (raw.startsWith('/') || parts.includes('..'))
    throw builderErrors.badSource(`${raw} lies outside of the source`);
  if (parts[0] === reservedFolder)
    throw builderErrors.badSource(`the name ${reservedFolder} is taken: the build itself uses it`);
  return name;
}

async function entryText(entry: Entry, size: number): Promise<string> {
  if (size > maxProcfileBytes)
    throw builderErrors.badProcfile(`the Procfile is larger than ${maxProcfileBytes} bytes`);
  const chunks: Buffer[] = [];
  for await (const chunk of entry) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
