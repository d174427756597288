// Instances that cost next to nothing: one HAProxy that answers on every loopback address, each address an instance of
// its own that says which one it is. A test program in Node would take the time that is to be measured.

import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort, waitFor } from '../../test/router/harness.ts';

export interface Instances {
  port: number;
  stop(): void;
}

const largeBytes = 64 * 1024;

/** Answers carry `x-instance: <the address that was asked>`; `/large` has 64 KB. */
export async function startInstances(folder: string): Promise<Instances> {
  const port = await freePort();
  const path = join(folder, 'instances.cfg');
  const large = join(folder, 'large.txt');
  await writeFile(large, 'x'.repeat(largeBytes));
  await writeFile(
    path,
    `global
  tune.bufsize ${2 * largeBytes}
defaults
  mode http
  timeout client 1h
frontend all
  bind 0.0.0.0:${port}
  tcp-request connection reject unless { src 127.0.0.0/8 }
  http-request return status 200 content-type text/plain file ${large} if { path /large }
  http-request return status 200 content-type text/plain string "hello from an instance" hdr x-instance %[dst]
`,
  );
  const child = spawn('haproxy', ['-db', '-f', path], { stdio: 'ignore' });
  const answers = () => fetch(`http://127.0.0.1:${port}/`).then((answer) => answer.ok);
  await waitFor('the instances', answers);
  return { port, stop: () => void child.kill('SIGKILL') };
}
