// A small instance of an app: says who it is, echoes WebSocket messages, answers slowly when asked, or misbehaves.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';

export interface BackendOptions {
  name: string;
  port?: number;
  /** `reset` closes the connection instead of answering, `cut` ends it in the middle of the body. */
  fault?: 'reset' | 'cut';
}

export interface Backend {
  name: string;
  port: number;
  /** Requests and WebSockets it has begun. */
  readonly served: number;
  /** Requests and WebSockets it has now. */
  readonly active: number;
  /** As a process that is killed: listener and connections at once. */
  kill(): Promise<void>;
}

export async function startBackend(options: BackendOptions): Promise<Backend> {
  const backend = new RunningBackend(options);
  await backend.listen();
  return backend;
}

class RunningBackend implements Backend {
  readonly name: string;
  port: number;
  served = 0;
  active = 0;
  readonly #fault: BackendOptions['fault'];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor({ name, port = 0, fault }: BackendOptions) {
    this.name = name;
    this.port = port;
    this.#fault = fault;
    this.#server = createServer((request, response) => this.#answer(request, response));
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    const webSockets = new WebSocketServer({ server: this.#server, perMessageDeflate: false });
    webSockets.on('headers', (headers) => headers.push(`x-instance: ${this.name}`));
    webSockets.on('connection', (socket) => this.#echo(socket));
  }

  async listen(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once('error', reject).listen(this.port, '127.0.0.1', resolve);
    await promise;
    this.port = (this.#server.address() as AddressInfo).port;
  }

  async kill(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    for (const socket of this.#sockets) socket.destroy();
    await promise;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    this.served++;
    if (this.#fault === 'reset') return void request.socket.resetAndDestroy();
    this.active++;
    response.on('close', () => this.active--);
    const url = new URL(request.url ?? '/', 'http://instance');
    const body = JSON.stringify({
      name: this.name,
      method: request.method,
      url: request.url,
      headers: request.headers,
    });
    response.setHeader('x-instance', this.name);
    response.setHeader('content-length', Buffer.byteLength(body));
    if (this.#fault === 'cut') {
      response.write(body.slice(0, 10));
      return void setImmediate(() => request.socket.destroy());
    }
    request.resume();
    setTimeout(() => response.end(body), Number(url.searchParams.get('ms') ?? 0));
  }

  #echo(socket: WebSocket): void {
    this.served++;
    this.active++;
    socket.on('close', () => this.active--);
    socket.on('message', (data) => socket.send(String(data)));
  }
}
