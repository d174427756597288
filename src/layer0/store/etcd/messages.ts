// What etcd is told and answers, as `calls.ts` has it on the wire: 64-bit numbers are decimal strings, and a field that is
// zero is left out.

export interface Header {
  cluster_id: string;
  member_id: string;
  revision?: string;
  raft_term?: string;
}

export interface KeyValue {
  key: Buffer;
  value?: Buffer;
  create_revision: string;
  mod_revision: string;
  lease?: string;
}

export interface RangeRequest {
  key: Buffer;
  range_end?: Buffer;
  limit?: string;
  revision?: string;
}

export interface RangeAnswer {
  header: Header;
  kvs?: KeyValue[];
  more?: boolean;
}

export type EtcdCompare = { key: Buffer; result: 'EQUAL' | 'GREATER' } & (
  | { target: 'CREATE'; create_revision: string }
  | { target: 'MOD'; mod_revision: string }
);

export type EtcdOperation =
  | { request_put: { key: Buffer; value: Buffer; lease?: string } }
  | { request_delete_range: { key: Buffer; range_end?: Buffer } }
  | { request_range: RangeRequest };

export interface TxnRequest {
  compare: EtcdCompare[];
  success: EtcdOperation[];
}

export interface TxnAnswer {
  header: Header;
  succeeded?: boolean;
  /** One for each operation, when it succeeded. */
  responses?: { response_range?: RangeAnswer }[];
}

export interface EtcdEvent {
  type?: 'PUT' | 'DELETE';
  kv: KeyValue;
  prev_kv?: KeyValue;
}

/** One line of a watch. */
export interface WatchAnswer {
  header: Header;
  created?: boolean;
  canceled?: boolean;
  cancel_reason?: string;
  compact_revision?: string;
  /** True: the events of this answer go on in the next one. */
  fragment?: boolean;
  events?: EtcdEvent[];
}

export interface KeepAliveAnswer {
  ID: string;
  /** Absent when the lease has ended. */
  TTL?: string;
}

export const encode = (text: string): Buffer => Buffer.from(text);
export const decode = (bytes: Buffer | undefined): string => bytes?.toString() ?? '';
