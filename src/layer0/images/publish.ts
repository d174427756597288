// An image gets into every registry of the cluster, and out of one to this machine. It is packed once, by the engine here; the
// other registry gets the same bytes from the first.

import { toAppError } from '#core/errors';
import type { Log } from '#core/log';
import { imageErrors } from './errors.ts';
import type { Registry } from './registry.ts';

/** The engine's half: it alone packs and unpacks layers. */
export interface RegistryEngine {
  push(imageId: string, name: string): Promise<void>;
  /** Under `keepAs` only; images.registry when what came is another image. */
  pull(imageId: string, name: string, keepAs: string): Promise<void>;
}

/** The registries that hold the image now. One that does not answer is passed over. */
export async function publishImage(
  registries: readonly Registry[],
  engine: RegistryEngine,
  imageId: string,
  log: Log,
): Promise<Registry[]> {
  const holders: Registry[] = [];
  const lacking: Registry[] = [];
  const attempt = async (registry: Registry, act: () => Promise<unknown>) => {
    try {
      await act();
      return true;
    } catch (error) {
      const reason = toAppError(error).message;
      log.warn({ host: registry.host, image: imageId, reason }, 'a registry did not take an image');
      return false;
    }
  };
  for (const registry of registries)
    await attempt(registry, async () =>
      ((await registry.has(imageId)) ? holders : lacking).push(registry),
    );
  for (const registry of lacking) {
    const [source] = holders;
    const fill = () =>
      source ? source.copyTo(registry, imageId) : engine.push(imageId, registry.nameOf(imageId));
    if (await attempt(registry, fill)) holders.push(registry);
  }
  return holders;
}

/** From the first registry that has it; false when none does. A registry that fails is passed over when another has it. */
export async function pullImage(
  registries: readonly Registry[],
  engine: RegistryEngine,
  imageId: string,
  keepAs: string,
): Promise<boolean> {
  const failures: string[] = [];
  for (const registry of registries)
    try {
      if (!(await registry.has(imageId))) continue;
      await engine.pull(imageId, registry.nameOf(imageId), keepAs);
      return true;
    } catch (error) {
      failures.push(`on ${registry.host}: ${toAppError(error).message}`);
    }
  if (failures.length > 0)
    throw imageErrors.registry(`could not get image ${imageId}: ${failures.join('; ')}`);
  return false;
}
