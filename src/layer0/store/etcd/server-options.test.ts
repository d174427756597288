// The command lines that layer 0 starts and restores members with.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { etcdArguments, restoreArguments } from './server-options.ts';

const member = {
  name: 'a',
  dataFolder: '/data/etcd',
  peerUrl: 'https://192.0.2.1:2380',
  members: { a: 'https://192.0.2.1:2380', b: 'https://192.0.2.2:2380' },
  clusterToken: 'cluster-x',
};

test('a member is started with its limits, its neighbours and mutual TLS on both sides', () => {
  const tls = { certFile: 'c.pem', keyFile: 'k.pem', caFile: 'ca.pem' };
  const clientUrl = 'https://192.0.2.1:2379';
  const electionMs = 2_000;
  assert.equal(
    etcdArguments({ ...member, clientUrl, state: 'existing', tls, electionMs }).join(' '),
    [
      '--name a --data-dir /data/etcd',
      '--listen-client-urls https://192.0.2.1:2379 --advertise-client-urls https://192.0.2.1:2379',
      '--listen-peer-urls https://192.0.2.1:2380',
      '--initial-advertise-peer-urls https://192.0.2.1:2380',
      '--initial-cluster a=https://192.0.2.1:2380,b=https://192.0.2.2:2380',
      '--initial-cluster-token cluster-x --initial-cluster-state existing',
      '--max-txn-ops 128 --max-request-bytes 1572864 --quota-backend-bytes 2147483648',
      '--snapshot-count 10000 --auto-compaction-retention 0',
      '--pre-vote=true --strict-reconfig-check=true',
      '--heartbeat-interval 200 --election-timeout 2000 --logger zap --log-level warn',
      '--cert-file c.pem --key-file k.pem --trusted-ca-file ca.pem --client-cert-auth',
      '--peer-cert-file c.pem --peer-key-file k.pem --peer-trusted-ca-file ca.pem',
      '--peer-client-cert-auth',
    ].join(' '),
  );
});

test('a member is restored under the token of a new cluster', () => {
  assert.equal(
    restoreArguments({ ...member, file: 'backup.db' }).join(' '),
    [
      'snapshot restore backup.db --name a --data-dir /data/etcd',
      '--initial-cluster a=https://192.0.2.1:2380,b=https://192.0.2.2:2380',
      '--initial-cluster-token cluster-x --initial-advertise-peer-urls https://192.0.2.1:2380',
    ].join(' '),
  );
});
