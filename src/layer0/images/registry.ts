// A registry of the cluster, as it is reached on a port of this machine's loopback: what it holds, what goes, and a copy of an
// image from one to another that packs nothing anew. Images are in one repository, so that all share layers; the tag is the id.

import type { IncomingMessage } from 'node:http';
import { json } from 'node:stream/consumers';
import { toAppError } from '#core/errors';
import { createHttpClient, type HttpClient } from '#core/http-client';
import { imageErrors } from './errors.ts';

export const registryRepository = 'gantry/images';
const path = `/v2/${registryRepository}`;
/** A layer of several gigabytes over a slow link. */
const blobTimeoutMs = 30 * 60_000;
/** More tags than this and the answer comes in pages, which nobody asks for. */
const maxTags = 100_000;
const manifestTypes = [
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
].join(', ');

interface Manifest {
  config: { digest: string };
  layers: { digest: string }[];
}

export interface RegistryAddress {
  /** Id of the machine that it is on. */
  host: string;
  /** `127.0.0.1:<port>` here. */
  address: string;
}

export class Registry {
  readonly host: string;
  readonly address: string;
  readonly #http: HttpClient;

  constructor({ host, address }: RegistryAddress) {
    this.host = host;
    this.address = address;
    this.#http = createHttpClient({ baseUrl: `http://${address}` });
  }

  /** What the engine calls the image there. */
  nameOf(imageId: string): string {
    return `${this.address}/${registryRepository}:${tagOf(imageId)}`;
  }

  async has(imageId: string): Promise<boolean> {
    return (await this.#digest(imageId)) !== undefined;
  }

  /** Ids of the images that it holds. */
  async list(): Promise<string[]> {
    const query = { n: maxTags };
    const call = this.#http.json<{ tags: string[] | null }>('GET', `${path}/tags/list`, { query });
    const answer = await absent(call);
    return (answer?.tags ?? []).map((tag) => `sha256:${tag}`);
  }

  /** Its bytes go when the registry starts next. */
  async remove(imageId: string): Promise<void> {
    const digest = await this.#digest(imageId);
    if (digest !== undefined) await absent(this.#raw('DELETE', `${path}/manifests/${digest}`));
  }

  /** Layers that are there are not sent; the image counts when the manifest, which is last, is there. */
  async copyTo(other: Registry, imageId: string): Promise<void> {
    const headers = { accept: manifestTypes };
    const manifestPath = `${path}/manifests/${tagOf(imageId)}`;
    const answer = await this.#http.raw('GET', manifestPath, { headers });
    const type = answer.headers['content-type'] ?? '';
    const manifest = (await json(answer)) as Manifest;
    for (const { digest } of [...manifest.layers, manifest.config])
      if (!(await other.#hasBlob(digest)))
        await other.#put(digest, await this.#http.raw('GET', `${path}/blobs/${digest}`));
    // The very bytes: their digest is what the engine of a containerd store goes by.
    const source = await this.#http.raw('GET', manifestPath, { headers });
    const options = { bodyStream: source, headers: { 'content-type': type } };
    await drain(await other.#http.raw('PUT', manifestPath, options));
  }

  close(): void {
    this.#http.close();
  }

  async #hasBlob(digest: string): Promise<boolean> {
    return (await absent(this.#raw('HEAD', `${path}/blobs/${digest}`))) !== undefined;
  }

  async #put(digest: string, bytes: IncomingMessage): Promise<void> {
    const begun = await this.#raw('POST', `${path}/blobs/uploads/`);
    const location = begun.headers.location;
    if (location === undefined)
      throw imageErrors.registry(`the registry on ${this.host} does not say where a layer goes`);
    const { pathname, searchParams } = new URL(location, `http://${this.address}`);
    const query = { ...Object.fromEntries(searchParams), digest };
    const length = bytes.headers['content-length'];
    const headers = {
      'content-type': 'application/octet-stream',
      ...(length === undefined ? {} : { 'content-length': length }),
    };
    const options = { query, headers, bodyStream: bytes, timeoutMs: blobTimeoutMs };
    await drain(await this.#http.raw('PUT', pathname, options));
  }

  async #digest(imageId: string): Promise<string | undefined> {
    const headers = { accept: manifestTypes };
    const call = this.#raw('HEAD', `${path}/manifests/${tagOf(imageId)}`, headers);
    const digest = (await absent(call))?.headers['docker-content-digest'];
    return typeof digest === 'string' ? digest : undefined;
  }

  async #raw(method: string, path: string, headers = {}): Promise<IncomingMessage> {
    return drain(await this.#http.raw(method, path, { headers }));
  }
}

function tagOf(imageId: string): string {
  return imageId.replace('sha256:', '');
}

/** Nobody reads the rest; the connection is free again. */
function drain(answer: IncomingMessage): IncomingMessage {
  return answer.resume();
}

async function absent<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (toAppError(error).status === 404) return undefined;
    throw error;
  }
}
