// The store's error codes. Operational ones only: a broken invariant asserts instead.

import { defineErrors } from '#core/errors';

export const storeErrors = defineErrors('store', {
  conflict: {
    status: 409,
    retry: false,
    doc: 'The revision belongs to another incarnation of the store. Read again, then decide again.',
  },
  compacted: {
    status: 410,
    retry: false,
    doc: 'The history no longer reaches back to this revision. List again and watch from there.',
  },
  leaseNotFound: {
    status: 404,
    retry: false,
    doc: 'The lease has ended, and its keys went with it. Grant a new one.',
  },
  invalidKey: {
    status: 400,
    retry: false,
    doc: 'A key is a path of printable ASCII segments joined by single slashes, 512 bytes at most.',
  },
  invalid: {
    status: 400,
    retry: false,
    doc: 'A transaction or option has a value that the store does not take; the message names it.',
  },
  tooLarge: {
    status: 413,
    retry: false,
    doc: 'A transaction holds at most 100 compares and operations, and 1 MB. Split it.',
  },
  overloaded: {
    status: 429,
    retry: true,
    doc: 'Too many transactions wait for the disk. Try again shortly.',
  },
  full: {
    status: 507,
    retry: true,
    doc: 'The disk of the store, or its share of it, is full. Reads and deletes work; make room and writes work again.',
  },
  unavailable: {
    status: 503,
    retry: true,
    doc: 'Nothing was kept: the disk failed the write, the cluster of the store has no leader, or the store is stopping. Try again.',
  },
  moved: {
    status: 503,
    retry: false,
    doc: 'The store of this folder was moved to etcd and answers no more. etcd.json beside the folder says where it is.',
  },
  damaged: {
    status: 500,
    retry: false,
    doc: 'The store file cannot be opened: another process holds it, or it is not a store of ours.',
  },
});
