// Stands in for the way to three machines where there is one: an embedded store that cannot be moved.

import type { RemoteHa } from './client.ts';
import { haErrors } from './errors.ts';

export const aloneHa: Pick<RemoteHa, 'status' | 'move'> = {
  status: async () => ({
    engine: 'embedded',
    storeHost: 'host-a',
    health: 'healthy',
    summary: 'the embedded store on a',
    members: [],
    move: { state: 'idle' },
  }),
  move: async () => {
    throw haErrors.tooFew('the store on etcd needs 3 machines that are up, and there is 1');
  },
};
