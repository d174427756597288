// This process's streams joined with those of a process in the cluster, until that one has said everything.

import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { FrameReader } from './frames.ts';
import type { Io } from './io.ts';

/** stdin until it ends; stdout and stderr apart. A slow reader here slows the process there. */
export async function joinPipes({ stdin, stdout, stderr }: Io, socket: Duplex): Promise<void> {
  // What the process did not read when it ended is lost, as with any pipe.
  socket.on('error', () => stdin.unpipe(socket));
  stdin.pipe(socket);
  const frames = new FrameReader();
  try {
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      for (const { isError, data } of frames.read(chunk)) {
        const target = isError ? stderr : stdout;
        if (!target.write(data)) await once(target, 'drain');
      }
    }
  } finally {
    stdin.unpipe(socket);
    stdin.pause();
  }
}

export interface Size {
  rows: number;
  cols: number;
}

/** Every key goes there, Ctrl-C too. The terminal is given back as it was, however this ends. */
export async function joinTerminal(
  io: Io,
  socket: Duplex,
  resize: (size: Size) => Promise<void>,
): Promise<void> {
  const { stdin, stdout } = io;
  const sendSize = () => {
    const { rows, columns: cols } = stdout;
    // A process that has just ended has no terminal to resize.
    if (rows && cols) resize({ rows, cols }).catch(() => undefined);
  };
  stdin.setRawMode?.(true);
  const release = io.onSignal('SIGWINCH', sendSize);
  try {
    sendSize();
    stdin.pipe(socket);
    await pipeline(socket, stdout, { end: false });
  } finally {
    release();
    stdin.unpipe(socket);
    stdin.pause();
    stdin.setRawMode?.(false);
  }
}
