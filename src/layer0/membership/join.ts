// The new machine's side of joining: finds a member, makes sure that it is of the cluster the token names, and asks to be let in.

import { connect } from 'node:tls';
import { coreErrors, hasCode } from '#core/errors';
import { createHttpClient } from '#core/http-client';
import { parser } from '#core/schema';
import { makeRequest } from './act/authority.ts';
import { handshakeTimeoutMs } from './config.ts';
import { parseToken } from './decide/token.ts';
import { membershipErrors } from './errors.ts';
import { type Identity, writeIdentity } from './identity.ts';
import { Peers } from './peers.ts';
import { type JoinAnswer, joinAnswerSchema } from './wire.ts';

export interface Joiner {
  name: string;
  address: string;
  port: number;
}

const answerParser = parser(joinAnswerSchema);
/** The other side signs a certificate meanwhile. */
const joinTimeoutMs = 30_000;

/** Joins and writes identity and members into the folder. The token is used up once this has answered. */
export async function join(token: string, self: Joiner, folder: string): Promise<JoinAnswer> {
  const { addresses, authority, secret } = parseToken(token);
  const { address, port, authorityPem } = await findMember(addresses, authority);
  const { keyPem, requestPem } = await makeRequest();
  const http = createHttpClient({
    baseUrl: `https://${memberName}:${port}`,
    dialAddress: address,
    ca: authorityPem,
    // Which member it is does not matter yet, only that the authority says it is one.
    checksName: false,
    timeoutMs: joinTimeoutMs,
  });
  try {
    const body = { secret, requestPem, ...self };
    const answer = answerParser.parse(
      await http.json('POST', '/join', { body }),
      'the answer to joining',
    );
    const { certificatePem } = answer;
    const identity: Omit<Identity, 'hostId'> = { keyPem, certificatePem, authorityPem };
    await writeIdentity(folder, identity);
    await new Peers(folder).update(answer.members);
    return answer;
  } finally {
    http.close();
  }
}

const memberName = 'member';

interface Found {
  address: string;
  port: number;
  authorityPem: string;
}

/** The first address that answers as the right cluster; what the others said, when none does. */
async function findMember(addresses: readonly string[], authority: string): Promise<Found> {
  const failures: string[] = [];
  for (const text of addresses) {
    const cut = text.lastIndexOf(':');
    const target = { address: text.slice(0, cut), port: Number(text.slice(cut + 1)) };
    try {
      return { ...target, authorityPem: await authorityAt(target, authority) };
    } catch (error) {
      if (hasCode(error, 'membership.wrongAuthority')) throw error;
      failures.push(`${text}: ${(error as Error).message}`);
    }
  }
  throw coreErrors.unreachable(
    `no machine of the cluster answers: ${failures.join('; ')}. Is the port open between the machines?`,
  );
}

/** The authority that the member at this address shows, when it is the one with the fingerprint. */
function authorityAt(
  { address, port }: { address: string; port: number },
  fingerprint: string,
): Promise<string> {
  return new Promise((resolve, reject) => {
    // Nothing is sent before the fingerprint was compared, and the call after that checks the chain.
    const socket = connect({
      host: address,
      port,
      servername: memberName,
      rejectUnauthorized: false,
    });
    socket.setTimeout(handshakeTimeoutMs, () =>
      socket.destroy(coreErrors.timeout(`no answer within ${handshakeTimeoutMs} ms`)),
    );
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      const issuer = socket.getPeerX509Certificate()?.issuerCertificate;
      socket.destroy();
      const seen = issuer?.fingerprint256.replaceAll(':', '').toLowerCase();
      if (issuer && seen === fingerprint) return resolve(issuer.toString());
      reject(
        membershipErrors.wrongAuthority(
          `${address}:${port} is not of the cluster of this join token: its authority is ${seen ?? 'not shown'}, not ${fingerprint}`,
        ),
      );
    });
  });
}
