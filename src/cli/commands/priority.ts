// `gantry priority`: whose processes get a place first; without an argument, show it.

import type { ChangeApp } from '#layer1/controller/client';
import type { Call } from '../command.ts';
import { cliErrors } from '../errors.ts';

type Priority = NonNullable<ChangeApp['priority']>;

const priorities: readonly Priority[] = ['low', 'normal', 'high'];

export async function priority(call: Call): Promise<undefined> {
  const { args, out } = call;
  const [word] = args.words;
  const wanted = word === undefined ? undefined : parsePriority(word);
  const { api, app } = await call.target();
  const seen = wanted ? await api.changeApp(app, { priority: wanted }) : await api.readApp(app);
  const { isSystem, priority: now = 'normal' } = seen;
  if (args.has('json')) return out.json({ priority: now });
  out.line(`${app}: ${isSystem ? 'before all others' : now}`);
}

function parsePriority(text: string): Priority {
  const found = priorities.find((known) => known === text);
  if (found) return found;
  throw cliErrors.usage(`${text} is no priority: there are ${priorities.join(', ')}`);
}
