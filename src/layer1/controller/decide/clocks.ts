// Whose clock is wrong? What is asked knows only how far others are from its own, and its own may be the wrong one: with three
// machines or more, the one in the middle is right.

import type { MemberReport } from '#layer0/host/wire';

type Clocked = Pick<MemberReport, 'hostId' | 'clockAheadMs'>;

/** Milliseconds that each machine's clock is ahead, by host id; of those that said it. */
export function clocksAhead(reports: readonly (Clocked & { report?: unknown })[]) {
  const known = reports.filter(({ report }) => report !== undefined);
  const offsets = known.map(({ clockAheadMs = 0 }) => clockAheadMs).sort((a, b) => a - b);
  const isDecidable = offsets.length >= 3;
  const right = isDecidable ? (offsets[Math.floor((offsets.length - 1) / 2)] ?? 0) : 0;
  return new Map(known.map(({ hostId, clockAheadMs = 0 }) => [hostId, clockAheadMs - right]));
}
