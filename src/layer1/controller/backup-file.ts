// A backup as a file: lines of JSON, a header, the keys where they were asked for, the entries, and a checksum of all lines
// before it, so that one that broke off or was changed is none.

import { createHash } from 'node:crypto';
import { parser, type Static, Type } from '#core/schema';
import { readLines } from '#core/stream';
import { controllerErrors } from './errors.ts';

/** Of the file: a reader takes this one and those before it. */
export const backupFormat = 1;
/** Largest backup that is read. */
const maxBackupBytes = 512 * 1024 * 1024;

export const backupHeaderSchema = Type.Object({
  gantry: Type.Literal('backup'),
  format: Type.Integer({ minimum: 1, maximum: backupFormat }),
  clusterId: Type.String(),
  hostId: Type.String({ description: 'Of the machine that has the store, or that was asked.' }),
  incarnation: Type.String({ description: 'Of the store.' }),
  revision: Type.Integer(),
  createdAt: Type.Integer({ description: 'Unix time in milliseconds.' }),
  version: Type.String({ description: 'Of the platform.' }),
});
export type BackupHeader = Static<typeof backupHeaderSchema>;

const entrySchema = Type.Object({
  key: Type.String(),
  value: Type.Unknown(),
  createRevision: Type.Integer(),
});
const keysSchema = Type.Object({ keys: Type.Record(Type.String(), Type.String()) });
const endSchema = Type.Object({ entries: Type.Integer(), sha256: Type.String() });

export interface Backup {
  header: BackupHeader;
  /** Files of the folder `keys`, base64; empty where they were not asked for. */
  keys: Record<string, string>;
  entries: Static<typeof entrySchema>[];
}

const parsers = {
  header: parser(backupHeaderSchema),
  keys: parser(keysSchema),
  entry: parser(entrySchema),
  end: parser(endSchema),
};

/** Lines without their newline; the last one is the checksum. */
export async function* writeBackup(
  header: BackupHeader,
  lines: AsyncIterable<object> | Iterable<object>,
): AsyncGenerator<string> {
  const hash = createHash('sha256');
  let entries = 0;
  const line = (value: object) => {
    const text = JSON.stringify(value);
    hash.update(`${text}\n`);
    return text;
  };
  yield line(header);
  for await (const value of lines) {
    if (!('keys' in value)) entries++;
    yield line(value);
  }
  yield JSON.stringify({ entries, sha256: hash.digest('hex') });
}

/** controller.badBackup when it is none, or not whole. */
export async function readBackup(source: AsyncIterable<Uint8Array | string>): Promise<Backup> {
  const hash = createHash('sha256');
  const backup: { header?: BackupHeader; keys: Backup['keys']; entries: Backup['entries'] } = {
    keys: {},
    entries: [],
  };
  let bytes = 0;
  let end: Static<typeof endSchema> | undefined;
  for await (const line of readLines(source)) {
    if (line.trim() === '') continue;
    bytes += line.length;
    if (bytes > maxBackupBytes) throw bad(`it is larger than ${maxBackupBytes} bytes`);
    if (end) throw bad('something follows its checksum');
    const value = parseLine(line);
    if ('sha256' in value) {
      end = take('end', value);
      continue;
    }
    hash.update(`${line}\n`);
    if (!backup.header) backup.header = take('header', value);
    else if ('keys' in value) backup.keys = take('keys', value).keys;
    else backup.entries.push(take('entry', value));
  }
  const { header, keys, entries } = backup;
  if (!header) throw bad('it is empty');
  if (!end) throw bad('its end is missing: it broke off');
  if (end.entries !== entries.length || end.sha256 !== hash.digest('hex'))
    throw bad('its checksum does not fit: it was changed or damaged');
  return { header, keys, entries };
}

function parseLine(line: string): object {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === 'object' && value !== null) return value;
  } catch (cause) {
    throw bad('it has a line that is not JSON', cause);
  }
  throw bad('it has a line that is no record');
}

function take<K extends keyof typeof parsers>(kind: K, value: object) {
  try {
    return parsers[kind].parse(value, kind) as ReturnType<(typeof parsers)[K]['parse']>;
  } catch (cause) {
    throw bad(`its ${kind} is none that this version reads`, cause);
  }
}

function bad(why: string, cause?: unknown) {
  return controllerErrors.badBackup(`this is no whole backup of Gantry: ${why}`, { cause });
}
