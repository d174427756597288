// May this job have what its spec asks for? Only the system app gets at the machine itself.

import type { Job } from '#layer0/scheduler/wire';
import { systemApp } from '../config.ts';

/** One word of a path, which cannot leave its folder. */
const volumeName = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$/;

/** Why the job may not run at all, as a sentence; undefined when it may. */
export function refusalOf({ app, spec }: Job): string | undefined {
  for (const mount of spec.mounts) {
    if ((mount.volume === undefined) === (mount.hostPath === undefined))
      return `the mount at ${mount.path} must name either a volume or a host path`;
    if (mount.volume !== undefined && !volumeName.test(mount.volume))
      return `the volume name ${JSON.stringify(mount.volume)} must be letters, digits, dot, dash or underscore`;
    if (!mount.path.startsWith('/')) return `the mount path ${mount.path} is not absolute`;
  }
  if (app === systemApp) return undefined;
  if (!volumeName.test(app)) return `the app id ${JSON.stringify(app)} is not valid`;
  const hostPath = spec.mounts.find((mount) => mount.hostPath !== undefined)?.hostPath;
  if (hostPath !== undefined) return `only the system app may mount a host path (${hostPath})`;
  if (spec.network === 'host') return 'only the system app may use the host network';
  const capability = spec.capabilities[0];
  if (capability !== undefined) return `only the system app may have capabilities (${capability})`;
  return undefined;
}
