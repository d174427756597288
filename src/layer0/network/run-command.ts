// The programs of the network: iptables, ip and bridge. The only code of layer 0's network that starts processes.

import { execFile } from 'node:child_process';

/** Runs a program with text on its stdin and answers its stdout; rejects when it fails. */
export type RunCommand = (file: string, args: string[], input?: string) => Promise<string>;

const timeoutMs = 10_000;
/** What `bridge fdb show` may say of 10,000 containers. */
const maxOutputBytes = 16 * 1024 * 1024;

export const runCommand: RunCommand = (file, args, input) =>
  new Promise((resolve, reject) => {
    const options = { timeout: timeoutMs, maxBuffer: maxOutputBytes };
    const child = execFile(file, args, options, (error, stdout, stderr) => {
      if (error) reject(new Error(stderr.trim() || error.message, { cause: error }));
      else resolve(stdout);
    });
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
