// A benchmark's way to the platform on the kept test machine: its API, its engine and its router, by address.

import { Agent, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { createHttpClient, type HttpClient } from '#core/http-client';
import { Platform } from '../../test/cluster/platform.ts';

export interface Session {
  platform: Platform;
  /** The management API, with the machine's own token. */
  api: HttpClient;
  token: string;
  /** A call to the machine's engine: the answer's body, or an error with it. */
  engine<T>(method: string, path: string, body?: unknown): Promise<T>;
  close(): void;
}

/** Needs `node test/cluster/run.ts --keep`. */
export async function openSession(): Promise<Session> {
  const platform = Platform.connect();
  const { machine } = platform;
  const config = JSON.parse(await machine.must('cat /root/.config/gantry/config.json')) as {
    current: string;
    clusters: Record<string, { url: string; token: string }>;
  };
  const cluster = config.clusters[config.current];
  if (!cluster) throw new Error('the machine has no configured cluster: is script/up done?');
  const headers = { authorization: `Bearer ${cluster.token}` };
  const api = createHttpClient({
    baseUrl: cluster.url,
    dialAddress: machine.address,
    headers,
    timeoutMs: 120_000,
  });
  const agent = new Agent({ keepAlive: true });
  const socketPath = machine.path('/run/docker.sock');
  return {
    platform,
    api,
    token: cluster.token,
    engine: (method, path, body) => callEngine({ agent, socketPath, method, path, body }),
    close() {
      api.close();
      agent.destroy();
    },
  };
}

interface EngineCall {
  agent?: Agent;
  socketPath: string;
  method: string;
  path: string;
  body?: unknown;
}

export function callEngine<T>({ agent, socketPath, method, path, body }: EngineCall): Promise<T> {
  return new Promise((resolve, reject) => {
    const call = request({
      ...(agent ? { agent } : {}),
      socketPath,
      method,
      path: `/v1.41${path}`,
      headers: { 'content-type': 'application/json' },
    });
    call.once('error', reject);
    call.once('response', async (answer) => {
      const said = await text(answer);
      if ((answer.statusCode ?? 500) >= 400) return reject(new Error(`${method} ${path}: ${said}`));
      resolve((said.startsWith('{') || said.startsWith('[') ? JSON.parse(said) : said) as T);
    });
    call.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

export interface FirstAnswer {
  address: string;
  port: number;
  host: string;
  path?: string;
  /** Part of the body that tells the new version. */
  expects: string;
}

/** Asks every 2 ms until the answer is there; milliseconds since `start`. */
export async function untilFirst200(start: number, first: FirstAnswer): Promise<number> {
  const deadline = start + 180_000;
  while (performance.now() < deadline) {
    if (await asks(first)) return performance.now() - start;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  throw new Error(`${first.host} did not answer with ${first.expects} within 180 s`);
}

function asks({ address, port, host, expects, path = '/' }: FirstAnswer): Promise<boolean> {
  return new Promise((resolve) => {
    const call = request({
      host: address,
      port,
      path,
      headers: { host, connection: 'close' },
      timeout: 1000,
    });
    call.once('timeout', () => call.destroy());
    call.once('error', () => resolve(false));
    call.once('response', (answer) => {
      text(answer).then(
        (body) => resolve(answer.statusCode === 200 && body.includes(expects)),
        () => resolve(false),
      );
    });
    call.end();
  });
}
