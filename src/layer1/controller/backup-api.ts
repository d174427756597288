// What a restore answers.

import { type Static, Type } from '#core/schema';

export const restoreResultSchema = Type.Object({
  createdAt: Type.Integer({ description: 'Of the backup, Unix time in milliseconds.' }),
  entries: Type.Integer({ description: 'That the store has now.' }),
  apps: Type.Array(Type.String(), { description: 'Names of the apps that are there now.' }),
  forgotten: Type.Array(Type.String(), {
    description: 'Apps that the backup does not know: what runs of them runs on, without a record.',
  }),
});
export type RestoreResult = Static<typeof restoreResultSchema>;
