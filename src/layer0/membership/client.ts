// The door of membership: who belongs to this cluster, and how to talk to them.

import { createHttpClient } from '#core/http-client';
import type { IssuedToken, JoinAnswer, JoinRequest, Member } from './wire.ts';

export type { IssuedToken, JoinAnswer, JoinRequest, Member } from './wire.ts';

export interface MembershipClient {
  /** A token for one more machine. membership.tooManyTokens when too many are open. */
  createToken(): Promise<IssuedToken>;
  /** Lets a machine in for its token; membership.tokenRefused says why not. `from` is for the log. */
  admit(request: JoinRequest, from: string): Promise<JoinAnswer>;
  /** It is no host from now on, and no member speaks with it. membership.notMember when there is none of that id. */
  remove(hostId: string): Promise<void>;
  list(): Promise<Member[]>;
}

/** What another process of this machine asks of membership, over the layer-0 API. */
export interface RemoteMembership
  extends Pick<MembershipClient, 'createToken' | 'list' | 'remove'> {
  close(): void;
}

export function createMembershipClient({ baseUrl }: { baseUrl: string }): RemoteMembership {
  const http = createHttpClient({ baseUrl });
  return {
    createToken: () => http.json('POST', '/membership/tokens'),
    list: () => http.json('GET', '/membership/members'),
    async remove(hostId) {
      await http.json('DELETE', `/membership/members/${hostId}`);
    },
    close: () => http.close(),
  };
}
