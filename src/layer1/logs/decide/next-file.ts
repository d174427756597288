// Which of a container's log files is read next, and is anything missing in between?
// The engine rotates by renaming: x-json.log -> x-json.log.1 -> x-json.log.2, and the last one is deleted.

export interface LogFile {
  path: string;
  inode: number;
  /** When it was made, where the file system says so: a free inode is given out again at once. */
  bornMs?: number;
  sizeBytes: number;
}

/** How far a container's log was read: a byte of a file, whatever the file is called by now. */
export interface Position extends Pick<LogFile, 'inode' | 'bornMs'> {
  offset: number;
}

export type NextRead =
  | { kind: 'read'; file: LogFile; offset: number }
  /** Files between the last position and this one were deleted before they were read. */
  | { kind: 'gap'; file: LogFile }
  | { kind: 'wait' };

function isSameFile(file: LogFile, { inode, bornMs }: Position): boolean {
  if (file.inode !== inode) return false;
  return file.bornMs === undefined || bornMs === undefined || file.bornMs === bornMs;
}

/** `files` newest first: the current one, then .1, .2, as they were listed in one go. */
export function nextRead(files: readonly LogFile[], position: Position | undefined): NextRead {
  const oldest = files.at(-1);
  if (oldest === undefined) return { kind: 'wait' };
  if (position === undefined) return { kind: 'read', file: oldest, offset: 0 };
  const index = files.findIndex((file) => isSameFile(file, position));
  if (index < 0) return { kind: 'gap', file: oldest };
  const known = files[index];
  // A file that is shorter than what was read from it is another file with a reused inode.
  if (known === undefined || known.sizeBytes < position.offset)
    return { kind: 'gap', file: oldest };
  if (known.sizeBytes > position.offset)
    return { kind: 'read', file: known, offset: position.offset };
  const newer = files[index - 1];
  return newer === undefined ? { kind: 'wait' } : { kind: 'read', file: newer, offset: 0 };
}
