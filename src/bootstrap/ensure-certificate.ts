// Which certificate serves the platform's domain? The one given now, else the one given before, else one of Gantry's own
// authority. Puts it into the store, where the router finds it.

import { X509Certificate } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostClient } from '#layer0/host/client';
import type { Store } from '#layer0/store/client';
import { type Certificate, certificateKey } from '#layer1/router/wire';
import { type CertificateFiles, certificateRecord, ensureOwn, readGiven } from './certificates.ts';
import type { Machine } from './machine-file.ts';
import type { UpOptions } from './options.ts';

export interface CertificateDeps {
  store: Store;
  host: Pick<HostClient, 'seal'>;
}

type Place = Pick<Machine, 'home' | 'domain'>;

/** Answers the authority that clients must be told to trust, PEM; undefined where every machine knows it. */
export async function ensureCertificate(
  options: Pick<UpOptions, 'certificateFile' | 'keyFile' | 'caFile'>,
  machine: Place,
  { store, host }: CertificateDeps,
): Promise<string | undefined> {
  const { home, domain } = machine;
  const { certificateFile, keyFile, caFile } = options;
  const earlier = (await store.get<Certificate>(certificateKey(domain)))?.value.certificatePem;
  const isGiven = certificateFile !== undefined && keyFile !== undefined;
  const files: CertificateFiles = isGiven
    ? await readGiven({ certificateFile, keyFile, caFile }, domain)
    : await ensureOwn(home, domain);
  // A certificate given in an earlier run stays until another one is given, and its authority with it.
  const stays = !isGiven && earlier !== undefined && !isSignedBy(earlier, files.caPem);
  if (stays) return await readAuthority(machine);
  // Before the certificate: a run that ends in between leaves one that this one does for, or that nobody asks for.
  if (isGiven) await keepAuthority(machine, files.caPem);
  if (earlier !== files.certificatePem) {
    const sealed = await host.seal(`certificate/${domain}`, files.keyPem);
    const value = certificateRecord(domain, files, sealed);
    await store.txn({ compare: [], operations: [{ put: certificateKey(domain), value }] });
  }
  return files.caPem;
}

function isSignedBy(certificatePem: string, caPem: string | undefined): boolean {
  if (caPem === undefined) return false;
  return new X509Certificate(certificatePem).verify(new X509Certificate(caPem).publicKey);
}

/** Where the authority of a given certificate is kept, for the runs that follow. */
function authorityPath({ home, domain }: Place): string {
  return join(home, 'ca', `${domain}.given-ca.crt`);
}

async function readAuthority(place: Place): Promise<string | undefined> {
  try {
    return await readFile(authorityPath(place), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function keepAuthority(place: Place, caPem: string | undefined): Promise<void> {
  const path = authorityPath(place);
  if (caPem === undefined) return await rm(path, { force: true });
  await mkdir(join(place.home, 'ca'), { recursive: true, mode: 0o700 });
  await writeFile(`${path}.part`, caPem);
  await rename(`${path}.part`, path);
}
