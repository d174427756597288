// How is the store? What each member of etcd says of itself, put into one sentence.

import type { Clock } from '#core/clock';
import { within } from '#core/within';
import type { Peers } from '#layer0/membership/index';
import { listAlarms, listMembers, readStatus } from '#layer0/store/index';
import { memberAnswerMs } from './config.ts';
import { summarize } from './decide/summarize.ts';
import type { StorePlace } from './place.ts';
import type { HaStatus, MemberStatus, MoveStatus } from './wire.ts';

export interface StatusQuestion {
  behind: StorePlace['behind'];
  isUndecided: boolean;
  storeHost: string;
  move: MoveStatus;
  peers: Peers;
  clock: Clock;
}

export async function readHaStatus(question: StatusQuestion): Promise<HaStatus> {
  const { behind, isUndecided, storeHost, peers } = question;
  const nameOf = (hostId: string) => peers.get(hostId)?.name ?? hostId;
  if (behind.engine === 'etcd') {
    const members = await readMembers(behind, question.clock);
    return { engine: 'etcd', ...summarize(members, nameOf), members, move: question.move };
  }
  // The machine that moves the store says how that goes.
  if (behind.engine === 'remote') {
    const status = await peers
      .client(storeHost)
      .json<HaStatus>('GET', '/ha/status', { timeoutMs: memberAnswerMs })
      .catch(() => undefined);
    if (status) return { ...status, engine: status.engine === 'etcd' ? 'etcd' : 'remote' };
  }
  const at = nameOf(storeHost);
  const summary = isUndecided
    ? 'the move to etcd may have been decided and etcd does not answer: nothing new is decided, everything runs on'
    : `the embedded store on ${at}: nothing new is decided while that machine is away`;
  const isAway = behind.engine === 'remote';
  return {
    engine: behind.engine,
    storeHost,
    members: [],
    move: question.move,
    health: isUndecided ? 'undecided' : isAway ? 'no-quorum' : 'healthy',
    summary: isAway ? `${at}, which has the store, does not answer: everything runs on` : summary,
  };
}

/** Who belongs to it is asked of etcd, which cannot say without a quorum: those that are known are asked meanwhile. */
async function readMembers(behind: StorePlace['behind'] & { engine: 'etcd' }, clock: Clock) {
  const { store, place } = behind;
  const asked = new Map(place.nodes.map(({ clientUrl }) => [clientUrl, ask(behind, clientUrl)]));
  const listed = await within(clock, memberAnswerMs, () => listMembers(store.client)).catch(
    () => undefined,
  );
  const alarms = listed
    ? await within(clock, memberAnswerMs, () => listAlarms(store.client)).catch(() => [])
    : [];
  const known = listed?.map(({ name, clientUrl, isLearner }) => ({
    hostId: name,
    url: clientUrl ?? '',
    isLearner,
  }));
  const nodes =
    known ?? place.nodes.map((node) => ({ ...node, url: node.clientUrl, isLearner: false }));
  return Promise.all(
    nodes.map(async ({ hostId, url, isLearner }): Promise<MemberStatus> => {
      const answer = url === '' ? undefined : await (asked.get(url) ?? ask(behind, url));
      const alarm = alarms.find(({ memberId }) => memberId === answer?.memberId)?.alarm;
      return {
        hostId,
        url,
        isLearner,
        isReachable: answer !== undefined,
        isLeader: answer?.isLeader ?? false,
        dbBytes: answer?.dbBytes ?? 0,
        ...(alarm === undefined ? {} : { alarm }),
      };
    }),
  );
}

function ask({ store }: StorePlace['behind'] & { engine: 'etcd' }, url: string) {
  return readStatus(store.client, url, memberAnswerMs).catch(() => undefined);
}
