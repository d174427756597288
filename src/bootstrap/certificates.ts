// The certificate that API, git and apps are served with: a given one, or one of Gantry's own authority in `<home>/ca`.

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Certificate } from '#layer1/router/wire';
import { run } from './command.ts';
import { bootstrapErrors } from './errors.ts';

export interface CertificateFiles {
  certificatePem: string;
  keyPem: string;
  /** Of the authority that signed it, where clients must be told to trust it: Gantry's own, or a given one. */
  caPem?: string;
}

const dayMs = 86_400_000;
/** A certificate of ours is made anew when it has less than this left; `script/up` is what makes it. */
const renewBeforeMs = 30 * dayMs;
const ownValidityDays = 397;
const authorityValidityDays = 3650;

export interface GivenFiles {
  certificateFile: string;
  keyFile: string;
  caFile: string | undefined;
}

/** Reads the pair and checks that it is one, that it is for the domain, that it is not over, and that the authority signed it. */
export async function readGiven(given: GivenFiles, domain: string): Promise<CertificateFiles> {
  const { certificateFile, keyFile, caFile } = given;
  const [certificatePem, keyPem, caPem] = await Promise.all([
    readFile(certificateFile, 'utf8'),
    readFile(keyFile, 'utf8'),
    caFile === undefined ? undefined : readFile(caFile, 'utf8'),
  ]);
  const certificate = parseCertificate(certificatePem, certificateFile);
  if (!certificate.checkPrivateKey(createPrivateKey(keyPem))) {
    throw bootstrapErrors.option(`${keyFile} is not the key of ${certificateFile}`);
  }
  if (!certificate.checkHost(`api.${domain}`)) {
    throw bootstrapErrors.option(
      `${certificateFile} is not for *.${domain}: it must name ${domain} and *.${domain}`,
    );
  }
  if (Date.parse(certificate.validTo) < Date.now()) {
    throw bootstrapErrors.option(`${certificateFile} ended on ${certificate.validTo}`);
  }
  if (caPem === undefined || caFile === undefined) return { certificatePem, keyPem };
  if (!isIssuedBy(parseAll(certificatePem, certificateFile), parseAll(caPem, caFile))) {
    throw bootstrapErrors.option(
      `${caFile} did not sign ${certificateFile}: clients that trust the one would refuse the other; if a certificate is missing between them, put it behind the first one in ${certificateFile}`,
    );
  }
  return { certificatePem, keyPem, caPem };
}

/** Each certificate of the chain is signed by the next one, and one of them by an authority, or is one itself. */
function isIssuedBy(
  chain: readonly X509Certificate[],
  authorities: readonly X509Certificate[],
): boolean {
  for (const [index, certificate] of chain.entries()) {
    const known = authorities.some(
      (authority) =>
        authority.fingerprint256 === certificate.fingerprint256 || signed(authority, certificate),
    );
    if (known) return true;
    const next = chain[index + 1];
    if (next === undefined || !signed(next, certificate)) return false;
  }
  return false;
}

function signed(issuer: X509Certificate, certificate: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

const pemPattern = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

function parseAll(pem: string, file: string): X509Certificate[] {
  return (pem.match(pemPattern) ?? [pem]).map((one) => parseCertificate(one, file));
}

function parseCertificate(pem: string, file: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw bootstrapErrors.option(`${file} holds no certificate in PEM form`, { cause });
  }
}

/** The certificate of Gantry's authority for the domain: the one that is there while it is good, else a new one. */
export async function ensureOwn(home: string, domain: string): Promise<CertificateFiles> {
  const folder = join(home, 'ca');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = (name: string) => join(folder, name);
  const known = await readPair(path(`${domain}.crt`), path(`${domain}.key`));
  if (
    !known ||
    Date.parse(new X509Certificate(known.certificatePem).validTo) < Date.now() + renewBeforeMs
  ) {
    await ensureAuthority(path);
    await issue(path, domain);
  }
  const pair = await readPair(path(`${domain}.crt`), path(`${domain}.key`));
  if (!pair) throw bootstrapErrors.command(`openssl left no certificate in ${folder}`);
  return { ...pair, caPem: await readFile(path('ca.crt'), 'utf8') };
}

async function readPair(certificate: string, key: string): Promise<CertificateFiles | undefined> {
  try {
    return {
      certificatePem: await readFile(certificate, 'utf8'),
      keyPem: await readFile(key, 'utf8'),
    };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function ensureAuthority(path: (name: string) => string): Promise<void> {
  if (await readPair(path('ca.crt'), path('ca.key'))) return;
  await openssl([
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    String(authorityValidityDays),
    '-subj',
    '/CN=Gantry authority of this cluster',
    '-addext',
    'basicConstraints=critical,CA:TRUE,pathlen:0',
    '-addext',
    'keyUsage=critical,keyCertSign,cRLSign',
    '-keyout',
    path('ca.key.part'),
    '-out',
    path('ca.crt'),
  ]);
  // The key gets its name last: a crash in between makes both anew.
  await rename(path('ca.key.part'), path('ca.key'));
}

async function issue(path: (name: string) => string, domain: string): Promise<void> {
  const [request, extensions] = [path(`${domain}.csr`), path(`${domain}.ext`)];
  const names = `subjectAltName=DNS:${domain},DNS:*.${domain}`;
  await writeFile(extensions, `${names}\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n`);
  await openssl([
    'req',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-subj',
    `/CN=${domain}`,
    '-keyout',
    path(`${domain}.key`),
    '-out',
    request,
  ]);
  await openssl([
    'x509',
    '-req',
    '-in',
    request,
    '-CA',
    path('ca.crt'),
    '-CAkey',
    path('ca.key'),
    '-CAcreateserial',
    '-days',
    String(ownValidityDays),
    '-extfile',
    extensions,
    '-out',
    path(`${domain}.crt`),
  ]);
  await Promise.all([rm(request), rm(extensions)]);
}

async function openssl(args: string[]): Promise<void> {
  await run('openssl', args);
}

/** The record the router reads. */
export function certificateRecord(
  domain: string,
  files: CertificateFiles,
  sealedKeyPem: string,
): Certificate {
  return {
    domain,
    certificatePem: files.certificatePem,
    sealedKeyPem,
    expiresAt: Date.parse(new X509Certificate(files.certificatePem).validTo),
  };
}
