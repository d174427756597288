// Certificates from the store as files that HAProxy reads. A key is opened by the host, kept in memory and in a 0600 file.

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import type { Log } from '#core/log';
import type { TableFiles } from './act/files.ts';
import { namesIn } from './act/files.ts';
import type { ProxyPaths, RouterConfig } from './config.ts';
import type { Certificates } from './decide/steps.ts';
import { routerErrors } from './errors.ts';
import type { Certificate } from './wire.ts';

/** Asks the host to open what was sealed with this context. */
export type OpenSealed = (context: string, sealed: string) => Promise<string>;

export interface CertificateDeps {
  paths: ProxyPaths;
  settings: RouterConfig;
  files: TableFiles;
  openSealed: OpenSealed;
  log: Log;
}

export interface LoadedCertificates extends Certificates {
  hasDefault: boolean;
}

interface Opened {
  sealedKeyPem: string;
  certificatePem: string;
  pem: string;
  fingerprint: string;
}

export class CertificateFiles {
  readonly #deps: CertificateDeps;
  readonly #opened = new Map<string, Opened>();

  constructor(deps: CertificateDeps) {
    this.#deps = deps;
  }

  /** Files and list are on disk when it resolves. One bad certificate never takes the others with it. */
  async load(certificates: Iterable<Certificate>): Promise<LoadedCertificates> {
    const { paths, settings, files } = this.#deps;
    const byPath = new Map<string, { pem: string; fingerprint: string }>();
    const defaultPath = this.#path(settings.defaultCertificate);
    const gone = new Set(this.#opened.keys());
    for (const certificate of certificates) {
      gone.delete(certificate.domain);
      const opened = await this.#open(certificate);
      if (opened) byPath.set(this.#path(certificate.domain), opened);
    }
    for (const domain of gone) this.#opened.delete(domain);
    for (const [path, { pem }] of byPath) await files.write(path, pem, 0o600);
    const hasDefault = settings.defaultCertificate !== '' && byPath.has(defaultPath);
    const list = [...byPath.keys()].sort(
      (a, b) => Number(b === defaultPath) - Number(a === defaultPath) || (a < b ? -1 : 1),
    );
    await files.write(paths.certificateList, list.map((path) => `${path}\n`).join(''));
    return { byPath, hasDefault };
  }

  /** Keys of certificates that are gone do not stay on disk. */
  async removeOthers(kept: Certificates): Promise<void> {
    const { paths, files } = this.#deps;
    for (const name of await namesIn(paths.certificates)) {
      const path = join(paths.certificates, name);
      if (name.endsWith('.pem') && !kept.byPath.has(path)) await files.remove(path);
    }
  }

  #path(domain: string): string {
    const name = domain
      .toLowerCase()
      .replace('*', '_')
      .replace(/[^\w.-]/g, '-');
    return join(this.#deps.paths.certificates, `${name}.pem`);
  }

  async #open(certificate: Certificate): Promise<Opened | undefined> {
    const { domain, certificatePem, sealedKeyPem } = certificate;
    const known = this.#opened.get(domain);
    if (known?.sealedKeyPem === sealedKeyPem && known.certificatePem === certificatePem)
      return known;
    try {
      const key = await this.#deps.openSealed(`certificate/${domain}`, sealedKeyPem);
      const opened = { sealedKeyPem, certificatePem, ...bundle(domain, certificatePem, key) };
      this.#opened.set(domain, opened);
      return opened;
    } catch (error) {
      this.#deps.log.error({ err: error, domain }, 'a certificate is left out');
      return known;
    }
  }
}

/** Certificate, chain and key as HAProxy wants them; refuses a pair that does not belong together. */
export function bundle(domain: string, certificatePem: string, keyPem: string) {
  try {
    const certificate = new X509Certificate(certificatePem);
    if (!certificate.checkPrivateKey(createPrivateKey(keyPem)))
      throw new Error('the key is not the one of the certificate');
    // An empty line would end the payload of a runtime command.
    const pem = `${certificatePem}\n${keyPem}\n`.replace(/\r/g, '').replace(/\n{2,}/g, '\n');
    return { pem, fingerprint: certificate.fingerprint.replaceAll(':', '') };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw routerErrors.badCertificate(
      `the certificate of ${domain} cannot be used: ${why}; give its certificate chain and key in PEM`,
      { cause },
    );
  }
}
