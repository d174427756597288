// The cluster's authority: makes the certificates by which members know each other. openssl does the X.509.

import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { authorityDays, backdateMs, certificateDays } from '../config.ts';
import { membershipErrors } from '../errors.ts';

export interface Authority {
  certificatePem: string;
  keyPem: string;
}

/** A new key with what an authority needs to certify it. */
export interface CertificateRequest {
  keyPem: string;
  requestPem: string;
}

const run = promisify(execFile);
const timeoutMs = 20_000;
const dayMs = 86_400_000;

/** A key on curve P-256. Whose it is to be, the authority says. */
export function makeRequest(): Promise<CertificateRequest> {
  return inFolder('a key', {}, async (folder) => {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc'];
    await openssl(folder, [
      'req',
      '-new',
      ...key,
      '-subj',
      '/CN=-',
      '-keyout',
      'key',
      '-out',
      'request',
    ]);
    return { keyPem: await read(folder, 'key'), requestPem: await read(folder, 'request') };
  });
}

/** A new authority with a name that tells clusters apart. */
export async function makeAuthority(clusterId: string, now: number): Promise<Authority> {
  const { keyPem, requestPem } = await makeRequest();
  const certificatePem = await sign({
    subject: `/CN=Gantry members of ${clusterId}`,
    extensions: [
      'basicConstraints=critical,CA:TRUE,pathlen:0',
      'keyUsage=critical,keyCertSign,cRLSign',
    ],
    days: authorityDays,
    now,
    files: { request: requestPem, 'signer.key': keyPem },
    signer: ['-selfsign', '-keyfile', 'signer.key'],
  });
  return { certificatePem, keyPem };
}

interface Certified {
  hostId: string;
  /** The members of etcd know each other by it. */
  address: string;
  requestPem: string;
  /** Unix time in milliseconds. */
  now: number;
}

/** A certificate that says: who has the key of this request is that member, at that address. */
export function issueCertificate(
  authority: Authority,
  { hostId, address, requestPem, now }: Certified,
): Promise<string> {
  return sign({
    subject: `/CN=${hostId}`,
    extensions: [
      'basicConstraints=critical,CA:FALSE',
      'keyUsage=critical,digitalSignature',
      'extendedKeyUsage=serverAuth,clientAuth',
      `subjectAltName=DNS:${hostId},${isIP(address) === 0 ? 'DNS' : 'IP'}:${address}`,
    ],
    days: certificateDays,
    now,
    files: {
      request: requestPem,
      'signer.key': authority.keyPem,
      'signer.crt': authority.certificatePem,
    },
    signer: ['-cert', 'signer.crt', '-keyfile', 'signer.key'],
  });
}

/** SHA-256 of a certificate, hex: what a join token pins. */
export function fingerprintOf(certificatePem: string): string {
  return new X509Certificate(certificatePem).fingerprint256.replaceAll(':', '').toLowerCase();
}

interface SigningPlan {
  subject: string;
  extensions: string[];
  days: number;
  /** Unix time in milliseconds. */
  now: number;
  files: Record<string, string>;
  signer: string[];
}

/** `openssl ca`, because it alone lets every version say from when a certificate counts: members' clocks differ. */
function sign(plan: SigningPlan): Promise<string> {
  const settings = [
    '[ca]',
    'default_ca=here',
    '[here]',
    'database=issued',
    'new_certs_dir=.',
    'policy=any',
    'default_md=sha256',
    'rand_serial=yes',
    'unique_subject=no',
    '[any]',
    'commonName=supplied',
    '[extensions]',
    ...plan.extensions,
  ];
  const files = { ...plan.files, issued: '', settings: `${settings.join('\n')}\n` };
  return inFolder(`a certificate for ${plan.subject}`, files, async (folder) => {
    const validity = [
      ...['-startdate', asn1Time(plan.now - backdateMs)],
      ...['-enddate', asn1Time(plan.now + plan.days * dayMs)],
    ];
    const what = [
      '-in',
      'request',
      '-subj',
      plan.subject,
      '-extensions',
      'extensions',
      '-out',
      'made',
    ];
    const how = ['-batch', '-notext', '-config', 'settings'];
    await openssl(folder, ['ca', ...how, ...what, ...validity, ...plan.signer]);
    return read(folder, 'made');
  });
}

/** `YYYYMMDDHHMMSSZ`. */
function asn1Time(time: number): string {
  return `${new Date(time).toISOString().replace(/\D/g, '').slice(0, 14)}Z`;
}

/** In a folder that nobody else may read and that is gone afterwards. */
async function inFolder<T>(
  what: string,
  files: Record<string, string>,
  act: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-certificate-'));
  try {
    for (const [name, text] of Object.entries(files))
      await writeFile(join(folder, name), text, { mode: 0o600 });
    return await act(folder);
  } catch (cause) {
    const { stderr, message } = cause as { stderr?: string; message: string };
    const words = stderr?.trim().split('\n').slice(-2).join('; ') ?? message;
    throw membershipErrors.authority(`openssl did not make ${what}: ${words}`, { cause });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function openssl(folder: string, args: string[]): Promise<void> {
  await run('openssl', args, { cwd: folder, timeout: timeoutMs });
}

function read(folder: string, name: string): Promise<string> {
  return readFile(join(folder, name), 'utf8');
}
