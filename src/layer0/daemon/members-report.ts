// How are all machines of the cluster? Each daemon is asked at the same time and has a few seconds; who is silent is named,
// sooner where not even its kernel answers.
// It needs neither the store nor a leader: whoever answers here knows its peers from a file.

import type { Clock } from '#core/clock';
import { coreErrors, toAppError } from '#core/errors';
import type { HttpClient } from '#core/http-client';
import { type Ask, createAsk, type Peer } from '#layer0/failure-detector/index';
import type { HostReport, MemberReport } from '#layer0/host/wire';

/** Of one machine: longer than it takes to find out that its store or its engine hangs. */
const answerMs = 4_000;
/** ... and of one that looks at its kernel twice, too. */
const checkedMs = 8_000;
/** A kernel answers at once; a first packet that is lost is sent again after 1 s. */
const kernelMs = 2_000;

export interface MembersReportDeps {
  self: { hostId: string; name: string; address: string };
  /** As they are known here; without this machine or with it. */
  peers: {
    list(): readonly (Peer & { name: string })[];
    client(hostId: string): Pick<HttpClient, 'json'>;
  };
  /** Instead of real connections to a machine's kernel. */
  askKernel?: Ask;
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
  { hostId, name, address, port }: Peer & { name: string },
  { peers, clock, askKernel = createAsk(clock), checks = false }: MembersReportDeps,
): Promise<MemberReport> {
  const member = { hostId, name, address };
  const [sentAt, sentMs] = [clock.now(), clock.monotonicMs()];
  try {
    const options = checks ? { timeoutMs: checkedMs, query: { checks } } : { timeoutMs: answerMs };
    const call = peers.client(hostId).json<HostReport>('GET', '/status', options);
    const silence = askKernel({ hostId, address, port }, kernelMs).then((isThere) =>
      isThere ? call : Promise.reject(coreErrors.unreachable(noKernel)),
    );
    const report = await Promise.race([call, silence]);
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

const noKernel = `nothing there answers within ${kernelMs / 1000} s, not even its kernel`;
