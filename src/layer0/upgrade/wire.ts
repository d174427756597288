// The version that every machine's daemon is to have, and whose turn it is to be replaced. One key, one writer:
//   upgrade/wanted   script/up
//   upgrade/turn     the host whose turn it is

import { type Static, Type } from '#core/schema';

export const upgradePrefix = 'upgrade/';
export const wantedKey = 'upgrade/wanted';
export const turnKey = 'upgrade/turn';

export const wantedSchema = Type.Object({
  id: Type.String({ description: 'Of this wish: a failure ends it for every host.' }),
  version: Type.String({ description: 'Of the sources.' }),
  image: Type.String({ description: 'Id of the system image.' }),
  tag: Type.String({ description: 'Its name: `gantry/system:<version>`.' }),
  askedAt: Type.Integer({ description: 'Unix time in milliseconds.' }),
});
export type Wanted = Static<typeof wantedSchema>;

export const turnSchema = Type.Object({
  upgrade: Type.String({ description: 'Id of the wish.' }),
  host: Type.String(),
  failure: Type.Optional(
    Type.String({ description: 'Why this host has its old daemon again; nobody else begins.' }),
  ),
});
export type Turn = Static<typeof turnSchema>;

/** `<home>/upgrade.json`: what the replacement says to the daemon that runs again. */
export const outcomeSchema = Type.Object({ upgrade: Type.String(), failure: Type.String() });
export type Outcome = Static<typeof outcomeSchema>;
export const outcomeFile = 'upgrade.json';
