// `gantry apps`

import type { App } from '#layer1/controller/wire';
import type { Call } from '../command.ts';
import { agoText } from '../units.ts';

export async function listApps(call: Call): Promise<undefined> {
  const { out, args, io } = call;
  const { api } = await call.connect();
  const apps = await api.listApps();
  if (args.has('json')) return out.json(apps);
  if (apps.length === 0) return out.note('There is no app yet: gantry create NAME makes one.');
  const now = io.clock.now();
  out.table(
    ['NAME', 'RELEASE', 'SCALE', 'CREATED'],
    apps.map((app) => [
      app.isDeleting ? { text: `${app.name} (going)`, colour: 'yellow' } : app.name,
      app.currentVersion === undefined ? '-' : `v${app.currentVersion}`,
      app.currentVersion === undefined ? '-' : scaleText(wantedOf(app)),
      agoText(app.createdAt, now),
    ]),
  );
}

/** One `web` runs until somebody scales. */
function wantedOf({
  quantities,
  isSystem,
}: Pick<App, 'quantities' | 'isSystem'>): Record<string, number> {
  return isSystem ? quantities : { web: 1, ...quantities };
}

/** `web=3 worker=1` */
export function scaleText(quantities: Readonly<Record<string, number>>): string {
  return Object.entries(quantities)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([type, quantity]) => `${type}=${quantity}`)
    .join(' ');
}
