// `gantry host list`, `host join-token`

import type { Call } from '../command.ts';
import { cpuText, sizeText } from '../units.ts';

export async function listHosts(call: Call): Promise<undefined> {
  const { out, args } = call;
  const { api } = await call.connect();
  const hosts = await api.listHosts();
  if (args.has('json')) return out.json(hosts);
  out.table(
    ['NAME', 'STATE', 'ADDRESS', 'JOBS', 'MEMORY', 'CPUS', 'BUSY', 'ENGINE', 'ID', ''],
    hosts.map((host) => [
      host.name,
      host.state,
      host.address,
      String(host.jobs),
      host.memoryBytes === undefined ? '' : sizeText(host.memoryBytes),
      host.cpuMillis === undefined ? '' : cpuText(host.cpuMillis),
      host.busyPercent === undefined ? '' : `${host.busyPercent} %`,
      host.engineVersion ?? '',
      host.id,
      host.reason ?? '',
    ]),
  );
}

/** The token alone on stdout, so that it can be piped. */
export async function createJoinToken(call: Call): Promise<undefined> {
  const { out, args } = call;
  const { api } = await call.connect();
  const token = await api.createJoinToken();
  if (args.has('json')) return out.json(token);
  out.line(token.token);
  out.note('Good for one machine, for an hour. There, in a checkout: script/up --join TOKEN');
}
