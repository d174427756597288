// Who this machine is to the others: its key, its certificate and the authority, as files in one folder.
// The certificate is the last one written, so that a pair that is read fits together.

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { hasCode } from '#core/errors';
import { renewBeforeMs } from './config.ts';

export interface Identity {
  hostId: string;
  keyPem: string;
  certificatePem: string;
  authorityPem: string;
}

/** Undefined when there is none, or what is there does not fit together (a crash while it was written). */
export async function readIdentity(folder: string): Promise<Identity | undefined> {
  try {
    const [keyPem, certificatePem, authorityPem] = await Promise.all(
      ['host.key', 'host.crt', 'authority.crt'].map((name) => readFile(join(folder, name), 'utf8')),
    );
    if (keyPem === undefined || certificatePem === undefined || authorityPem === undefined) return;
    const certificate = new X509Certificate(certificatePem);
    if (!certificate.checkPrivateKey(createPrivateKey(keyPem))) return undefined;
    return { hostId: hostIdOf(certificate.subject), keyPem, certificatePem, authorityPem };
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

export async function writeIdentity(folder: string, identity: Omit<Identity, 'hostId'>) {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await replaceFile(join(folder, 'authority.crt'), identity.authorityPem, 0o644);
  await replaceFile(join(folder, 'host.key'), identity.keyPem, 0o600);
  await replaceFile(join(folder, 'host.crt'), identity.certificatePem, 0o644);
}

/** Its certificate should be made anew: it ends soon, or its clock says that it has, or the machine has another address. */
export function isDue(
  { certificatePem }: Pick<Identity, 'certificatePem'>,
  { now, address }: { now: number; address: string },
): boolean {
  const certificate = new X509Certificate(certificatePem);
  const isNamed =
    isIP(address) === 0 ? certificate.checkHost(address) : certificate.checkIP(address);
  return !isNamed || endOf({ certificatePem }) - now < renewBeforeMs;
}

/** Unix time in milliseconds. */
export function endOf({ certificatePem }: Pick<Identity, 'certificatePem'>): number {
  return Date.parse(new X509Certificate(certificatePem).validTo);
}

/** The host id in a certificate's subject, `CN=host-…`; empty when it names none. */
export function hostIdOf(subject: string): string {
  return (
    subject
      .split('\n')
      .find((part) => part.startsWith('CN='))
      ?.slice(3) ?? ''
  );
}

/** A crash leaves the old text or the new one. */
export async function replaceFile(path: string, text: string, mode: number): Promise<void> {
  await writeFile(`${path}.part`, text, { mode });
  await rename(`${path}.part`, path);
}
