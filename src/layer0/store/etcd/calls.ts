// The calls of etcd's API that are used here: their names, and the fields of what is sent and answered, by number.

import type { Field, Fields, Kind } from './protobuf.ts';

const field = (number: number, kind: Kind): Field => ({ number, kind });
const list = (number: number, kind: Kind): Field => ({ number, kind, isRepeated: true });
const bytes = (number: number) => field(number, 'bytes');
const int64 = (number: number) => field(number, 'int64');
const bool = (number: number) => field(number, 'bool');
const text = (number: number) => field(number, 'string');

const header: Fields = {
  cluster_id: int64(1),
  member_id: int64(2),
  revision: int64(3),
  raft_term: int64(4),
};
const answered = field(1, header);
const keyValue: Fields = {
  key: bytes(1),
  create_revision: int64(2),
  mod_revision: int64(3),
  value: bytes(5),
  lease: int64(6),
};
const rangeRequest: Fields = {
  key: bytes(1),
  range_end: bytes(2),
  limit: int64(3),
  revision: int64(4),
};
const rangeAnswer: Fields = { header: answered, kvs: list(2, keyValue), more: bool(3) };
const operation: Fields = {
  request_range: field(1, rangeRequest),
  request_put: field(2, { key: bytes(1), value: bytes(2), lease: int64(3) }),
  request_delete_range: field(3, { key: bytes(1), range_end: bytes(2) }),
};
const compare: Fields = {
  result: field(1, ['EQUAL', 'GREATER', 'LESS', 'NOT_EQUAL']),
  target: field(2, ['VERSION', 'CREATE', 'MOD', 'VALUE']),
  key: bytes(3),
  create_revision: int64(5),
  mod_revision: int64(6),
};
const event: Fields = {
  type: field(1, ['PUT', 'DELETE']),
  kv: field(2, keyValue),
  prev_kv: field(3, keyValue),
};
const member: Fields = {
  ID: int64(1),
  name: text(2),
  isLearner: bool(5),
  peerURLs: list(3, 'string'),
  clientURLs: list(4, 'string'),
};
const alarm = field(2, ['NONE', 'NOSPACE', 'CORRUPT']);
const lease: Fields = { header: answered, ID: int64(2), TTL: int64(3) };
const byId: Fields = { ID: int64(1) };
const nothing: Fields = {};

export interface Call {
  path: string;
  request: Fields;
  answer: Fields;
}

const call = (path: string, request: Fields, answer: Fields): Call => ({
  path: `/etcdserverpb.${path}`,
  request,
  answer,
});

export const calls = {
  range: call('KV/Range', rangeRequest, rangeAnswer),
  txn: call(
    'KV/Txn',
    { compare: list(1, compare), success: list(2, operation) },
    {
      header: answered,
      succeeded: bool(2),
      responses: list(3, { response_range: field(1, rangeAnswer) }),
    },
  ),
  compact: call('KV/Compact', { revision: int64(1), physical: bool(2) }, { header: answered }),
  watch: call(
    'Watch/Watch',
    {
      create_request: field(1, {
        key: bytes(1),
        range_end: bytes(2),
        start_revision: int64(3),
        progress_notify: bool(4),
        prev_kv: bool(6),
        fragment: bool(8),
      }),
    },
    {
      header: answered,
      created: bool(3),
      canceled: bool(4),
      compact_revision: int64(5),
      cancel_reason: text(6),
      fragment: bool(7),
      events: list(11, event),
    },
  ),
  grantLease: call('Lease/LeaseGrant', { TTL: int64(1), ID: int64(2) }, lease),
  revokeLease: call('Lease/LeaseRevoke', byId, nothing),
  keepAlive: call('Lease/LeaseKeepAlive', byId, lease),
  listMembers: call('Cluster/MemberList', { linearizable: bool(1) }, { members: list(2, member) }),
  addMember: call(
    'Cluster/MemberAdd',
    { peerURLs: list(1, 'string'), isLearner: bool(2) },
    nothing,
  ),
  removeMember: call('Cluster/MemberRemove', byId, nothing),
  updateMember: call('Cluster/MemberUpdate', { ...byId, peerURLs: list(2, 'string') }, nothing),
  promoteMember: call('Cluster/MemberPromote', byId, nothing),
  status: call('Maintenance/Status', nothing, {
    header: answered,
    version: text(2),
    dbSize: int64(3),
    leader: int64(4),
    dbSizeInUse: int64(9),
  }),
  defragment: call('Maintenance/Defragment', nothing, nothing),
  alarm: call(
    'Maintenance/Alarm',
    {
      action: field(1, ['GET', 'ACTIVATE', 'DEACTIVATE']),
      memberID: int64(2),
      alarm: { ...alarm, number: 3 },
    },
    { alarms: list(2, { memberID: int64(1), alarm }) },
  ),
  snapshot: call('Maintenance/Snapshot', nothing, { blob: bytes(3) }),
} as const satisfies Record<string, Call>;
