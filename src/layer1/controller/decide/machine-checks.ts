// What must hold on every machine, from what each daemon says of itself. A machine that does not answer is named once, by
// the first check, and the others say nothing of it.

import type { JobStatus, MemberReport } from '#layer0/host/wire';
import type { Job } from '#layer0/scheduler/wire';
import type { Check, HostView } from '../api.ts';
import { systemApp, systemAppId } from '../wire.ts';
import { clocksAhead } from './clocks.ts';
import { machineCertificateMs } from './cluster.ts';

/** Clocks further apart than this make times in logs and events hard to compare, and certificates early or late. */
const clockLimitMs = 2_000;
/** Of the disk; or less than this, whichever is more. */
const freeShare = 0.05;
const freeBytes = 1024 ** 3;

type Reported = MemberReport & { report: NonNullable<MemberReport['report']> };

export interface MachinesSeen {
  now: number;
  reports: readonly MemberReport[];
  /** Undefined while the store does not say. */
  hosts: readonly HostView[] | undefined;
  jobs: readonly Job[];
  status(job: string): JobStatus | undefined;
}

export function checkMachines(seen: MachinesSeen): Check[] {
  const reported = seen.reports.filter((one): one is Reported => one.report !== undefined);
  const clocks = clocksAhead(seen.reports);
  const each = (find: (one: Reported) => string | undefined) =>
    reported.flatMap((one) => {
      const problem = find(one);
      return problem === undefined
        ? []
        : [reported.length > 1 ? `${one.name}: ${problem}` : problem];
    });
  return [
    check('every machine answers', findSilent(seen.reports)),
    check('the store answers every machine', each(findStore)),
    check('the engine answers on every machine', each(findEngine)),
    check('every container has a record', each(findUnknown)),
    check('apps can look up names', each(findDns)),
    check('nothing is tried in vain', each(findFailing)),
    check('tunnels are as recorded', each(findOverlay)),
    check('disks have room', each(findDisk)),
    check(
      'clocks agree',
      each((one) => findClock(one, clocks.get(one.hostId))),
    ),
    check('one version runs everywhere', findVersions(reported)),
    check(
      'certificates of machines are renewed',
      each((one) => findCertificate(one, seen.now)),
    ),
    check('no address is given twice', findAddresses(seen)),
    check('no lost machine holds processes', findLost(seen)),
    check('copies of the platform are apart', findTogether(seen)),
    check('images are where they are needed', findImages(seen)),
  ];
}

function check(name: string, problems: readonly string[]): Check {
  const isOk = problems.length === 0;
  return { name, isOk, message: isOk ? 'ok' : problems.join('; ') };
}

function findSilent(reports: readonly MemberReport[]): string[] {
  return reports.flatMap(({ name, address, error }) =>
    error === undefined
      ? []
      : [`${name} (${address}): ${error}; is it on, and \`docker logs gantry-host\` there fine?`],
  );
}

function findStore({ report: { storeAnswer } }: Reported): string | undefined {
  if (!storeAnswer || storeAnswer.isAnswering) return undefined;
  return `${storeAnswer.message}; nothing new is decided, everything that runs goes on; see \`gantry cluster status\``;
}

function findEngine({ report: { engine } }: Reported): string | undefined {
  if (!engine || engine.isAnswering) return undefined;
  return `Docker: ${engine.message}; nothing starts or stops there; \`systemctl restart docker\` helps when it hangs`;
}

function findUnknown({ report: { unknownContainers } }: Reported): string | undefined {
  if (!unknownContainers || unknownContainers.count === 0) return undefined;
  const { count, names } = unknownContainers;
  const more = count > names.length ? ` and ${count - names.length} more` : '';
  return `${names.join(', ')}${more}: made under another store, so Gantry leaves them alone; keep what you need of them, then \`docker rm -f\` them on the machine`;
}

function findDns({ report: { dns } }: Reported): string | undefined {
  if (!dns || dns.isAnswering) return undefined;
  return `nothing answers at ${dns.address}:53, so no container finds another by its name; see \`docker logs gantry-dns\`, and run script/up if it is gone`;
}

function findFailing({ report: { failingLoops = [] } }: Reported): string | undefined {
  if (failingLoops.length === 0) return undefined;
  return failingLoops.map(({ name, message }) => `${name}: ${message}`).join(', ');
}

/** What the daemon mended meanwhile is not among them. */
function findOverlay({ report: { overlay } }: Reported): string | undefined {
  if (!overlay || overlay.count === 0) return undefined;
  const { count, commands } = overlay;
  const more = count > commands.length ? ` and ${count - commands.length} more` : '';
  return `its tunnels to other machines differ from the records and are not mended (${commands.join('; ')}${more}); does something else change them? See \`docker logs gantry-host\` there`;
}

function findDisk({ report: { disk } }: Reported): string | undefined {
  if (!disk) return undefined;
  // A small disk is not full for being small.
  const least = Math.min(disk.totalBytes / 10, Math.max(disk.totalBytes * freeShare, freeBytes));
  if (disk.freeBytes >= least) return undefined;
  const mib = Math.round(disk.freeBytes / 1024 ** 2);
  return `${mib} MiB of its disk are free; see \`docker system df\`, and what of yours can go`;
}

function findClock({ roundTripMs = 0 }: Reported, clockAheadMs = 0): string | undefined {
  if (Math.abs(clockAheadMs) - roundTripMs / 2 < clockLimitMs) return undefined;
  const seconds = (Math.abs(clockAheadMs) / 1000).toFixed(1);
  return `its clock is ${seconds} s ${clockAheadMs > 0 ? 'ahead' : 'behind'}; set up NTP there (\`timedatectl set-ntp true\`)`;
}

function findVersions(reported: readonly Reported[]): string[] {
  const byVersion = Map.groupBy(reported, ({ report }) => report.version ?? 'unknown');
  if (byVersion.size < 2) return [];
  const said = [...byVersion].map(([version, those]) => {
    const names = those.map(({ name }) => name).join(', ');
    return `${version} on ${names}`;
  });
  return [`${said.join('; ')}; \`script/up\` brings a machine to its checkout's version`];
}

function findCertificate({ report }: Reported, now: number): string | undefined {
  const { certificateEndsAt } = report;
  if (certificateEndsAt === undefined || certificateEndsAt - now >= machineCertificateMs)
    return undefined;
  const days = Math.max(0, Math.floor((certificateEndsAt - now) / 86_400_000));
  return `its certificate ends in ${days} days and is not renewed; is its clock right, and does the store answer it?`;
}

function findAddresses({ jobs, status }: MachinesSeen): string[] {
  const running = jobs.flatMap((job) => {
    const seen = status(job.id);
    const isThere = seen?.address !== undefined && seen.state === 'up';
    return isThere && job.spec.network === 'app' ? [{ job, address: seen.address }] : [];
  });
  return [...Map.groupBy(running, ({ address }) => address)]
    .filter(([, those]) => those.length > 1)
    .map(([address, those]) => `${address}: ${those.map(({ job }) => nameOf(job)).join(' and ')}`);
}

function findLost({ hosts, jobs }: MachinesSeen): string[] {
  const names = new Map(hosts?.map(({ id, name }) => [id, name]));
  const lost = new Set(hosts?.filter(({ state }) => state === 'silent').map(({ id }) => id));
  const held = jobs.filter(
    ({ host, desired }) => host !== undefined && desired === 'up' && lost.has(host),
  );
  return [...Map.groupBy(held, ({ host = '' }) => host)].map(([host, those]) => {
    const some = those.slice(0, 5).map(nameOf).join(', ');
    const more = those.length > 5 ? ` and ${those.length - 5} more` : '';
    return `${names.get(host) ?? host} has ${some}${more}; what can run elsewhere is moved within 20 s, the rest waits for it`;
  });
}

/** After a machine was lost and is back: nothing is moved unasked. What runs everywhere is apart by itself. */
function findTogether({ hosts = [], jobs }: MachinesSeen): string[] {
  const ready = hosts.filter(({ state }) => state === 'up');
  const ours = jobs.filter(({ app, desired }) => app === systemAppId && desired === 'up');
  return [...Map.groupBy(ours, ({ type }) => type)].flatMap(([type, those]) => {
    const places = new Set(those.map(({ host }) => host));
    const [place] = places;
    if (ready.length < 2 || those.length < 2 || places.size > 1) return [];
    const name = hosts.find(({ id }) => id === place)?.name ?? place;
    if (name === undefined) return [];
    return [
      `all ${those.length} of ${type} are on ${name}: while that is lost, none answers until another starts; \`gantry rebalance -a ${systemApp}\` moves one`,
    ];
  });
}

function findImages({ jobs, status }: MachinesSeen): string[] {
  const missing = jobs.filter(
    ({ id, desired }) => desired === 'up' && isMissing(status(id)?.reason),
  );
  return [...Map.groupBy(missing, ({ appName }) => appName)].map(
    ([app, those]) =>
      `${app}: ${those.map((job) => `${job.type}.${job.index}`).join(', ')} wait for an image that no machine has; push or deploy it again`,
  );
}

/** As the host says it (layer0/host/act/check-image.ts). */
function isMissing(reason: string | undefined): boolean {
  return /^the image \S+ is on no machine/.test(reason ?? '');
}

function nameOf({ appName, type, index }: Job): string {
  return `${type}.${index} of ${appName}`;
}
