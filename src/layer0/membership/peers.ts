// The other members, as this machine last knew them, and a connection to each. A file, so that a machine that starts while the
// store is away finds the member that has it.

import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from '#core/errors';
import { createHttpClient, type HttpClient, type HttpClientOptions } from '#core/http-client';
import { parser, Type } from '#core/schema';
import { doorHeader, doorVersion } from './door-version.ts';
import { membershipErrors } from './errors.ts';
import { type Identity, replaceFile } from './identity.ts';
import { type Member, memberSchema } from './wire.ts';

const file = 'members.json';
const membersParser = parser(Type.Array(memberSchema));

export class Peers {
  readonly #folder: string;
  #identity: Identity | undefined;
  #members = new Map<string, Member>();
  #saved = '';
  readonly #watches = new Set<() => void>();
  readonly #clients = new Map<string, { client: HttpClient; madeFor: string }>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Reads what an earlier life saved. */
  async load(): Promise<void> {
    try {
      const path = join(this.#folder, file);
      this.#saved = await readFile(path, 'utf8');
      this.#keep(membersParser.parse(JSON.parse(this.#saved), path));
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
    }
  }

  /** From now on these and no others; saved before it counts. */
  async update(members: readonly Member[]): Promise<void> {
    if (members.length === 0 && this.#saved === '') return;
    const sorted = [...members].sort((a, b) => (a.hostId < b.hostId ? -1 : 1));
    const text = `${JSON.stringify(sorted, null, 2)}\n`;
    if (text !== this.#saved) {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
      await replaceFile(join(this.#folder, file), text, 0o644);
      this.#saved = text;
      this.#keep(sorted);
      for (const callback of [...this.#watches]) callback();
    }
  }

  /** Calls back when a member came, went or moved. */
  watch(callback: () => void): () => void {
    this.#watches.add(callback);
    return () => this.#watches.delete(callback);
  }

  /** Connections made from now on show this one. */
  use(identity: Identity): void {
    this.#identity = identity;
  }

  /** What is shown to other members; membership.notMember on a machine that has none. */
  get identity(): Identity {
    if (this.#identity) return this.#identity;
    throw membershipErrors.notMember('this machine has no certificate of a cluster yet');
  }

  get(hostId: string): Member | undefined {
    return this.#members.get(hostId);
  }

  list(): Member[] {
    return [...this.#members.values()];
  }

  /** Calls the layer-0 API of another member. Do not close it: it is shared. */
  client(hostId: string): HttpClient {
    const options = this.connection(hostId);
    const madeFor = JSON.stringify(options);
    const known = this.#clients.get(hostId);
    if (known?.madeFor === madeFor) return known.client;
    known?.client.close();
    const client = createHttpClient(options);
    this.#clients.set(hostId, { client, madeFor });
    return client;
  }

  /** How a client reaches the member's peer door: by its host id, which its certificate must name. */
  connection(hostId: string): HttpClientOptions {
    const member = this.#members.get(hostId);
    if (!member || !this.#identity)
      throw membershipErrors.notMember(
        `cannot reach ${hostId}: no member of this cluster has that id`,
      );
    const { keyPem, certificatePem, authorityPem } = this.#identity;
    return {
      baseUrl: `https://${hostId}:${member.port}`,
      dialAddress: member.address,
      ca: authorityPem,
      cert: certificatePem,
      key: keyPem,
      headers: { [doorHeader]: String(doorVersion) },
    };
  }

  close(): void {
    for (const { client } of this.#clients.values()) client.close();
    this.#clients.clear();
  }

  #keep(members: readonly Member[]): void {
    this.#members = new Map(members.map((member) => [member.hostId, member]));
    for (const [hostId, { client }] of this.#clients) {
      if (this.#members.has(hostId)) continue;
      client.close();
      this.#clients.delete(hostId);
    }
  }
}
