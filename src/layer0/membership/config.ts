// Settings of membership, and its limits with their names.

import { numberSetting } from '#core/config';

export const membershipSettings = {
  peerPort: numberSetting({
    env: 'GANTRY_PEER_PORT',
    doc: 'TCP port of the peer door, where members reach this machine over mutual TLS. Open only while there are others.',
    fallback: 7443,
    min: 1,
    max: 65_535,
  }),
};

const dayMs = 86_400_000;

/** A join token that nobody has used ends after this long. */
export const tokenTtlMs = 3_600_000;
/** Tokens that were used or have ended are kept this long, so that a second use is told apart from a wrong one. */
export const keepTokenMs = dayMs;
/** What stands over a removed machine stays longer than its certificate may be good. */
export const keepRemovedMs = 100 * dayMs;
/** Tokens at most at one time, so that nobody fills the store with them. */
export const maxTokens = 100;
export const authorityDays = 3650;
export const certificateDays = 90;
/** A member makes its certificate anew when it has less than this left. */
export const renewBeforeMs = 30 * dayMs;
/** A certificate counts from this long before it was made: clocks differ. */
export const backdateMs = 3_600_000;
/** Longest time between two looks at certificate, tokens and door. */
export const resyncMs = 60_000;
/** Longest time for a TLS handshake at the peer door, and for the head of a request of somebody without a certificate. */
export const handshakeTimeoutMs = 5_000;
/** Connections of machines without a certificate at one time. */
export const maxStrangers = 32;
/** Connections of a machine that was removed end after this long: one may carry the answer to its own removal. */
export const lastWordsMs = 1_000;
