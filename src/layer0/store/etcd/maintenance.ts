// How is each member, and what does it need? One call a function; when to call them is `keeper.ts`.

import { createHash } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { storeErrors } from '../errors.ts';
import { calls } from './calls.ts';
import type { EtcdClient } from './etcd-client.ts';

/** A defragmentation stops its member for about a second per 100 MB. */
const defragmentTimeoutMs = 10 * 60_000;
/** etcd ends a snapshot with the SHA-256 of all before. */
const digestBytes = 32;

export interface MemberStatus {
  url: string;
  memberId: string;
  version: string;
  isLeader: boolean;
  /** The size of its database, and what of it holds data. */
  dbBytes: number;
  usedBytes: number;
}

interface StatusAnswer {
  header: { member_id: string };
  version: string;
  leader?: string;
  dbSize?: string;
  dbSizeInUse?: string;
}

export async function readStatus(
  client: EtcdClient,
  url: string,
  timeoutMs?: number,
): Promise<MemberStatus> {
  const answer = await client.callMember<StatusAnswer>(url, calls.status, {}, timeoutMs);
  return {
    url,
    memberId: answer.header.member_id,
    version: answer.version,
    isLeader: answer.leader === answer.header.member_id,
    dbBytes: Number(answer.dbSize ?? 0),
    usedBytes: Number(answer.dbSizeInUse ?? 0),
  };
}

/** Gives the room of forgotten history back to the disk. The member answers nothing meanwhile. */
export async function defragment(client: EtcdClient, url: string): Promise<void> {
  await client.callMember(url, calls.defragment, {}, defragmentTimeoutMs);
}

export interface Alarm {
  memberId: string;
  /** NOSPACE: the quota is used up, only deletes are taken. CORRUPT: the members disagree. */
  alarm: 'NOSPACE' | 'CORRUPT';
}

export async function listAlarms(client: EtcdClient): Promise<Alarm[]> {
  const options = { what: 'list the alarms of etcd', isRepeatable: true };
  const { alarms = [] } = await client.call<{
    alarms?: { memberID: string; alarm: Alarm['alarm'] }[];
  }>(calls.alarm, { action: 'GET' }, options);
  return alarms.map(({ memberID, alarm }) => ({ memberId: memberID, alarm }));
}

export async function disarm(client: EtcdClient, { memberId, alarm }: Alarm): Promise<void> {
  const body = { action: 'DEACTIVATE', memberID: memberId, alarm };
  const options = { what: `disarm ${alarm} of etcd member ${memberId}`, isRepeatable: true };
  await client.call(calls.alarm, body, options);
}

/** Writes what the member at `url` holds to a file, whole or not at all; its size. `restoreArguments` bring it back. */
export async function saveSnapshot(client: EtcdClient, url: string, path: string): Promise<number> {
  const part = `${path}.part`;
  const file = await open(part, 'w', 0o600);
  try {
    const hash = createHash('sha256');
    let tail: Buffer = Buffer.alloc(0);
    let bytes = 0;
    for await (const { blob } of client.memberStream<{ blob?: Buffer }>(url, calls.snapshot)) {
      const chunk = blob ?? Buffer.alloc(0);
      await file.write(chunk);
      bytes += chunk.length;
      const held = Buffer.concat([tail, chunk]);
      const sure = Math.max(0, held.length - digestBytes);
      hash.update(held.subarray(0, sure));
      tail = held.subarray(sure);
    }
    if (!hash.digest().equals(tail))
      throw storeErrors.damaged(
        `save a snapshot of ${url}: what came is not what was sent, try again`,
      );
    await file.sync();
    await file.close();
    await rename(part, path);
    return bytes;
  } catch (error) {
    await file.close();
    await rm(part, { force: true });
    throw error;
  }
}
