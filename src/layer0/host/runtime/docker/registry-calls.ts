// The engine's side of a registry: it packs and sends an image, or gets one and unpacks what it lacks.

import type { IncomingMessage } from 'node:http';
import type { Clock } from '#core/clock';
import { fromNdjson } from '#core/stream';
import { imageErrors, parseReference, type RegistryEngine } from '#layer0/images/client';
import { engineErrors } from '../errors.ts';
import { absentIsUndefined, ignore } from './containers.ts';
import type { InspectedImage } from './image-body.ts';
import { createTransport, type EngineTransport } from './transport.ts';

/** Until the first word of it; an image of several gigabytes may take long after that. */
const startTimeoutMs = 5 * 60_000;
/** Nobody: the registry is reached over loopback only. */
const noAccount = { 'x-registry-auth': Buffer.from('{}').toString('base64') };

export function createRegistryEngine(options: {
  socketPath: string;
  clock: Clock;
}): RegistryEngine & { close(): void } {
  const transport = createTransport(options);
  return {
    async push(imageId, reference) {
      const { name, tag } = parseReference(reference);
      await give(transport, imageId, reference);
      try {
        const call = { method: 'POST', path: `/images/${name}/push`, query: { tag } } as const;
        const rest = { headers: noAccount, timeoutMs: startTimeoutMs };
        await ended(await transport.open({ ...call, ...rest, attempt: `push ${reference}` }));
      } finally {
        await drop(transport, reference);
      }
    },
    async pull(imageId, reference, keepAs) {
      const { name, tag } = parseReference(reference);
      const query = { fromImage: name, tag };
      const call = { method: 'POST', path: '/images/create', query } as const;
      const rest = { headers: noAccount, timeoutMs: startTimeoutMs };
      await ended(await transport.open({ ...call, ...rest, attempt: `pull ${reference}` }));
      try {
        const path = `/images/${reference}/json`;
        const attempt = `inspect ${reference}`;
        const seen = await absentIsUndefined(
          transport.json<InspectedImage>({ method: 'GET', path, attempt }),
        );
        if (seen?.Id !== imageId)
          throw imageErrors.registry(
            `${reference} is image ${seen?.Id ?? 'unknown'} and not ${imageId}: it is not used`,
          );
        await give(transport, imageId, keepAs);
      } finally {
        await drop(transport, reference);
      }
    },
    close: () => transport.close(),
  };
}

async function ended(answer: IncomingMessage): Promise<void> {
  for await (const { error } of fromNdjson<{ error?: string }>(answer))
    if (error !== undefined) throw engineErrors.failed(error);
}

async function give(transport: EngineTransport, id: string, reference: string): Promise<void> {
  const { name, tag } = parseReference(reference);
  const call = { method: 'POST', path: `/images/${id}/tag`, query: { repo: name, tag } } as const;
  await transport.json({ ...call, attempt: `tag image ${id} as ${reference}` });
}

/** The name only: the image has another one, or goes with its last. */
async function drop(transport: EngineTransport, reference: string): Promise<void> {
  const call = { method: 'DELETE', path: `/images/${reference}` } as const;
  const query = { noprune: 1 };
  const attempt = `forget the name ${reference}`;
  await transport.json({ ...call, query, attempt }).catch(ignore('engine.notFound'));
}
