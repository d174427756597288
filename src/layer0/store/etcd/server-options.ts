// How layer 0 must start an etcd member, and restore one: argument lists for etcd 3.4 and 3.5, nothing is run here.

/** etcd counts compares and operations apart; ours are 100 in all, and one compare of the store's own. */
const maxTxnOps = 128;
/** A transaction of 1 MB, its compares once more as reads, and framing. */
const maxRequestBytes = 1536 * 1024;
/** The database of a member; above it etcd takes deletes only, until room is made. */
export const quotaBytes = 2 * 1024 * 1024 * 1024;
/** Log entries after which etcd writes a snapshot and drops them from memory; a tenth of what it does unless told. */
const raftEntriesPerSnapshot = 10_000;

export interface EtcdTls {
  /** Files, PEM. The certificate is for server and client: members call each other. */
  certFile: string;
  keyFile: string;
  caFile: string;
}

export interface EtcdMemberOptions {
  name: string;
  dataFolder: string;
  /** Where clients reach it. */
  clientUrl: string;
  /** Where the other members reach it. */
  peerUrl: string;
  /** All members, this one included: name -> peer URL. */
  members: Record<string, string>;
  /** Names the cluster while it is made, so that members of another never join by accident. */
  clusterToken: string;
  /** `existing` for a member that was added to a cluster that runs. */
  state: 'new' | 'existing';
  tls?: EtcdTls;
  quotaBytes?: number;
  /** Silence of the leader until another one is elected, milliseconds; it is heard of ten times in it. etcd's own is 1 s. */
  electionMs?: number;
}

export function etcdArguments(options: EtcdMemberOptions): string[] {
  const { clientUrl, peerUrl, tls, electionMs } = options;
  const security = tls
    ? [
        ...['', 'peer-'].flatMap((side) => [
          ...[`--${side}cert-file`, tls.certFile, `--${side}key-file`, tls.keyFile],
          ...[`--${side}trusted-ca-file`, tls.caFile, `--${side}client-cert-auth`],
        ]),
      ]
    : [];
  return [
    ...['--name', options.name, '--data-dir', options.dataFolder],
    ...['--listen-client-urls', clientUrl, '--advertise-client-urls', clientUrl],
    ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl],
    ...['--initial-cluster', membersText(options.members)],
    ...['--initial-cluster-token', options.clusterToken],
    ...['--initial-cluster-state', options.state],
    ...['--max-txn-ops', String(maxTxnOps), '--max-request-bytes', String(maxRequestBytes)],
    ...['--quota-backend-bytes', String(options.quotaBytes ?? quotaBytes)],
    ...['--snapshot-count', String(raftEntriesPerSnapshot)],
    // History is forgotten by the store's own rule (maintenance.ts), so that watchers are told in commits, not hours.
    ...['--auto-compaction-retention', '0'],
    // A member that was cut off does not unseat the leader when it comes back.
    ...['--pre-vote=true', '--strict-reconfig-check=true'],
    ...(electionMs === undefined
      ? []
      : [
          '--heartbeat-interval',
          String(electionMs / 10),
          '--election-timeout',
          String(electionMs),
        ]),
    ...['--logger', 'zap', '--log-level', 'warn'],
    ...security,
  ];
}

export interface RestoreOptions
  extends Pick<EtcdMemberOptions, 'name' | 'dataFolder' | 'peerUrl' | 'members' | 'clusterToken'> {
  /** As written by `saveSnapshot`. */
  file: string;
}

/**
 * Arguments of `etcdutl` (3.5) or `etcdctl` (3.4): makes the data folder of one member from a snapshot. The token must be
 * a new one: the restored cluster then has another id, and the store in it begins another incarnation.
 */
export function restoreArguments(options: RestoreOptions): string[] {
  return [
    ...['snapshot', 'restore', options.file],
    ...['--name', options.name, '--data-dir', options.dataFolder],
    ...['--initial-cluster', membersText(options.members)],
    ...['--initial-cluster-token', options.clusterToken],
    ...['--initial-advertise-peer-urls', options.peerUrl],
  ];
}

function membersText(members: Record<string, string>): string {
  return Object.entries(members)
    .map(([name, url]) => `${name}=${url}`)
    .join(',');
}
