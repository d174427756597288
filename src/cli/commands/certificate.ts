// `gantry certificate`, `certificate remove`: what HTTPS is served with. `route add --tls-cert` brings one.

import type { Call } from '../command.ts';

const dayMs = 86_400_000;

export async function listCertificates(call: Call): Promise<undefined> {
  const { out, args, io } = call;
  const { api } = await call.connect();
  const certificates = await api.listCertificates();
  if (args.has('json')) return out.json(certificates);
  if (certificates.length === 0) return out.note('There are no certificates.');
  const now = io.clock.now();
  out.table(
    ['DOMAIN', 'ENDS', ''],
    certificates.map(({ domain, expiresAt }) => [
      domain,
      new Date(expiresAt).toISOString().slice(0, 10),
      daysText(Math.floor((expiresAt - now) / dayMs)),
    ]),
  );
}

function daysText(days: number): string {
  return days < 0 ? 'is over' : `in ${days} d`;
}

export async function removeCertificate(call: Call): Promise<undefined> {
  const [domain = ''] = call.args.words;
  const { api } = await call.connect();
  await api.removeCertificate(domain);
  call.out.line(`The certificate of ${domain} is removed.`);
}
