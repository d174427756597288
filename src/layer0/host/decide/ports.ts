// Which numbers a process listens on, and what PORT says.

import type { JobSpec } from '#layer0/scheduler/wire';

/** Numbers fixed by the spec; those the host must choose (0 on the host network) are left out. */
export function fixedPorts(spec: JobSpec): Record<string, number> {
  return Object.fromEntries(
    spec.ports.filter(({ port }) => port !== 0).map(({ name, port }) => [name, port]),
  );
}

/** Names of the ports the host must choose. */
export function openPorts(spec: JobSpec): string[] {
  if (spec.network !== 'host') return [];
  return spec.ports.filter(({ port }) => port === 0).map(({ name }) => name);
}

/** The first port in the spec's order: what PORT and discovery mean by "the port". */
export function firstPort(spec: JobSpec, ports: Record<string, number>): number | undefined {
  const first = spec.ports[0];
  return first && ports[first.name];
}
