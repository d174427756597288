// How the engine describes an image, and what of it Gantry keeps. Pure.

import type { BuildOptions, Image } from '#layer0/images/wire';

/** The fields of `GET /images/{name}/json` that are read here. */
export interface InspectedImage {
  Id: string;
  RepoTags?: string[] | null;
  Created?: string;
  Size: number;
  Architecture: string;
  Os: string;
  Variant?: string;
  Config?: ImageConfig | null;
  RootFS: { Layers?: string[] | null };
}

export interface ImageConfig {
  Cmd?: string[] | null;
  Entrypoint?: string[] | null;
  Env?: string[] | null;
  ExposedPorts?: Record<string, unknown> | null;
  Healthcheck?: { Test?: string[] | null } | null;
  Labels?: Record<string, string> | null;
  User?: string;
  WorkingDir?: string;
}

export function toImage(seen: InspectedImage): Image {
  const config = seen.Config ?? {};
  const health = healthCommand(config.Healthcheck?.Test ?? []);
  return {
    id: seen.Id,
    tags: (seen.RepoTags ?? []).filter((tag) => tag !== '<none>:<none>'),
    sizeBytes: seen.Size,
    createdAt: Math.max(0, Date.parse(seen.Created ?? '') || 0),
    command: config.Cmd ?? [],
    entrypoint: config.Entrypoint ?? [],
    exposedPorts: exposedPorts(config),
    user: config.User ?? '',
    workingDir: config.WorkingDir ?? '',
    ...(health ? { healthCommand: health } : {}),
    labels: config.Labels ?? {},
  };
}

function exposedPorts(config: ImageConfig): number[] {
  const ports = Object.keys(config.ExposedPorts ?? {})
    .filter((port) => !port.includes('/') || port.endsWith('/tcp'))
    .map((port) => Number.parseInt(port, 10));
  return ports.filter(Number.isInteger).sort((a, b) => a - b);
}

function healthCommand([kind, ...rest]: string[]): string[] | undefined {
  if (kind === 'CMD') return rest;
  return kind === 'CMD-SHELL' ? ['/bin/sh', '-c', rest.join(' ')] : undefined;
}

/** The query of `POST /build` for the classic builder. */
export function buildQuery(options: BuildOptions): Record<string, string | number> {
  return {
    version: 1,
    t: options.tag,
    dockerfile: options.dockerfile,
    labels: JSON.stringify(options.labels),
    buildargs: JSON.stringify(options.buildArgs),
    memory: options.memoryBytes,
    memswap: options.memoryBytes,
    networkmode: options.networkMode ?? 'default',
    nocache: 0,
    rm: 1,
    forcerm: 1,
  };
}
