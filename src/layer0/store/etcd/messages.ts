// What etcd's JSON gateway says: 64-bit numbers are strings, bytes are base64, and a field that is zero is left out.

export interface Header {
  cluster_id: string;
  member_id: string;
  revision?: string;
  raft_term?: string;
}

export interface KeyValue {
  key: string;
  value?: string;
  create_revision: string;
  mod_revision: string;
  lease?: string;
}

export interface RangeRequest {
  key: string;
  range_end?: string;
  limit?: string;
  revision?: string;
}

export interface RangeAnswer {
  header: Header;
  kvs?: KeyValue[];
  more?: boolean;
}

export type EtcdCompare = { key: string; result: 'EQUAL' | 'GREATER' } & (
  | { target: 'CREATE'; create_revision: string }
  | { target: 'MOD'; mod_revision: string }
  | { target: 'VALUE'; value: string }
);

export type EtcdOperation =
  | { request_put: { key: string; value: string; lease?: string } }
  | { request_delete_range: { key: string } }
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

/** The last line of a stream that failed; etcd 3.4 says `grpc_code`. */
export interface StreamFailure {
  error: { message: string; code?: number; grpc_code?: number };
}

export const encode = (text: string): string => Buffer.from(text).toString('base64');
export const decode = (bytes: string | undefined): string =>
  bytes === undefined ? '' : Buffer.from(bytes, 'base64').toString();
