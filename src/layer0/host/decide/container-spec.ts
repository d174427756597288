// The container of one attempt, as data for the engine. Opened config values are in `env` here and nowhere else.

import { join } from 'node:path';
import type { Attachment } from '#layer0/network/wire';
import type { Job } from '#layer0/scheduler/wire';
import { logMaxBytes, logMaxFiles } from '../config.ts';
import { containerName, labels } from '../labels.ts';
import type { ContainerSpec } from '../runtime/runtime.ts';
import { firstPort, fixedPorts } from './ports.ts';

export interface ContainerQuestion {
  job: Job;
  attempt: number;
  clusterId: string;
  /** This machine. */
  hostId: string;
  incarnation: string;
  home: string;
  /** Ports the host chose. */
  chosenPorts: Record<string, number>;
  /** The app's config, opened. */
  config: Record<string, string>;
  attachment: Attachment | undefined;
}

export function containerSpec(question: ContainerQuestion): ContainerSpec {
  const { job, attempt } = question;
  const { spec } = job;
  return {
    ...optionsOf(job),
    name: containerName(job, attempt),
    image: spec.image,
    env: environmentOf(question),
    labels: labelsOf(question),
    hostname: `${job.type}-${job.index}`,
    network: networkOf(question),
    ...publishOf(job),
    ...dnsOf(question.attachment),
    binds: spec.mounts.map((mount) => ({
      source: mount.hostPath ?? volumePath(question.home, job.app, mount.volume ?? ''),
      target: mount.path,
      isReadOnly: mount.isReadOnly,
    })),
    ...spec.resources,
    tty: spec.tty,
    openStdin: spec.openStdin,
    capabilities: spec.capabilities,
    logMaxBytes,
    logMaxFiles,
  };
}

export function volumePath(home: string, app: string, volume: string): string {
  return join(home, 'volumes', app, volume);
}

function optionsOf({ spec }: Job) {
  const { command, entrypoint, user, workingDir, stopSignal } = spec;
  return {
    ...(command && { command }),
    ...(entrypoint && { entrypoint }),
    ...(user && { user }),
    ...(workingDir && { workingDir }),
    ...(stopSignal && { stopSignal }),
  };
}

/** The app's own config wins over Gantry's defaults; nothing wins over where it must listen. */
function environmentOf(question: ContainerQuestion): Record<string, string> {
  const { job, config, chosenPorts, hostId } = question;
  const port = firstPort(job.spec, { ...fixedPorts(job.spec), ...chosenPorts });
  return {
    ...job.spec.env,
    ...config,
    GANTRY_APP: job.appName,
    GANTRY_PROCESS: `${job.type}.${job.index}`,
    GANTRY_JOB: job.id,
    // Only the platform's own are there: the spec of one that runs on every machine cannot say on which.
    ...(job.spec.network === 'host' ? { GANTRY_HOST_ID: hostId } : {}),
    ...(port === undefined ? {} : { PORT: String(port) }),
  };
}

function labelsOf(question: ContainerQuestion): Record<string, string> {
  const { job, attempt, clusterId, incarnation, chosenPorts } = question;
  const chosen = Object.keys(chosenPorts).length > 0;
  return {
    [labels.cluster]: clusterId,
    [labels.incarnation]: incarnation,
    [labels.job]: job.id,
    [labels.app]: job.app,
    [labels.appName]: job.appName,
    [labels.type]: job.type,
    [labels.index]: String(job.index),
    [labels.attempt]: String(attempt),
    [labels.release]: job.release,
    ...(chosen ? { [labels.ports]: JSON.stringify(chosenPorts) } : {}),
  };
}

function networkOf({ job, attachment }: ContainerQuestion): ContainerSpec['network'] {
  const kind = job.spec.network;
  if (kind !== 'app') return { kind };
  if (!attachment) throw new Error(`job ${job.id} has no address yet`);
  return { kind, name: attachment.networkName, ip: attachment.ip, mac: attachment.mac };
}

function publishOf({ spec }: Job): Pick<ContainerSpec, 'publish'> {
  if (spec.network !== 'app') return {};
  const publish = spec.ports.flatMap(({ port, hostPort, protocol }) =>
    hostPort === undefined ? [] : [{ port, hostPort, protocol }],
  );
  return publish.length > 0 ? { publish } : {};
}

function dnsOf(attachment: Attachment | undefined): Pick<ContainerSpec, 'dns'> | object {
  if (!attachment) return {};
  const { dns: servers, dnsSearch: search, dnsOptions: options } = attachment;
  return { dns: { servers, search, options } };
}
