// How are all machines of the cluster? Each daemon is asked at the same time and has a few seconds; who is silent is named.
// It needs neither the store nor a leader: whoever answers here knows its peers from a file.

import type { Clock } from '#core/clock';
import { toAppError } from '#core/errors';
import type { HttpClient } from '#core/http-client';
import type { HostReport, MemberReport } from '#layer0/host/wire';

/** Of one machine: longer than it takes to find out that its store or its engine hangs. */
const answerMs = 4_000;
/** ... and of one that looks at its kernel twice, too. */
const checkedMs = 8_000;

export interface MembersReportDeps {
  self: { hostId: string; name: string; address: string };
  /** As they are known here; without this machine or with it. */
  peers: {
    list(): readonly { hostId: string; name: string; address: string }[];
    client(hostId: string): Pick<HttpClient, 'json'>;
  };
  /** What this machine says of itself. */
  report(): Promise<HostReport>;
  /** As in the query of `GET /status`. */
  checks?: boolean;
  clock: Clock;
}

export async function reportMembers(deps: MembersReportDeps): Promise<MemberReport[]> {
  const { self, peers } = deps;
  const others = peers.list().filter(({ hostId }) => hostId !== self.hostId);
  const own = deps.report().then((report): MemberReport => ({ ...self, report }));
  return await Promise.all([own, ...others.map((member) => ask(member, deps))]);
}

/** Both clocks are compared at the middle of the call: they agree within half of what it took. */
async function ask(
  { hostId, name, address }: { hostId: string; name: string; address: string },
  { peers, clock, checks = false }: MembersReportDeps,
): Promise<MemberReport> {
  const member = { hostId, name, address };
  const [sentAt, sentMs] = [clock.now(), clock.monotonicMs()];
  try {
    const options = checks ? { timeoutMs: checkedMs, query: { checks } } : { timeoutMs: answerMs };
    const report = await peers.client(hostId).json<HostReport>('GET', '/status', options);
    const roundTripMs = Math.round(clock.monotonicMs() - sentMs);
    const clockAheadMs =
      report.now === undefined ? undefined : Math.round(report.now - sentAt - roundTripMs / 2);
    return {
      ...member,
      report,
      roundTripMs,
      ...(clockAheadMs === undefined ? {} : { clockAheadMs }),
    };
  } catch (error) {
    return { ...member, error: toAppError(error).message };
  }
}
