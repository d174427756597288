// Seals config values with the cluster's key: `v1.<base64url of nonce, tag, text>`, AES-256-GCM bound to a context.
// A value that was changed, moved to another context or sealed with another key does not open.

import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { hasCode } from '#core/errors';
import { hostErrors } from './errors.ts';

const version = 'v1.';
const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;

export interface Seal {
  seal(context: string, plain: string): string;
  /** host.sealBroken says nothing about the value. */
  open(context: string, sealed: string): string;
}

/** The context of a config value: it cannot be moved to another app or name. */
export function configContext(app: string, name: string): string {
  return `${app}/${name}`;
}

export function createSeal(key: Buffer): Seal {
  return {
    seal(context, plain) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context));
      const text = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()]);
      return version + Buffer.concat([nonce, cipher.getAuthTag(), text]).toString('base64url');
    },
    open(context, sealed) {
      const broken = (why: string) =>
        hostErrors.sealBroken(`cannot open the sealed value of ${context}: ${why}`);
      if (!sealed.startsWith(version)) throw broken('it is not in the form v1.<base64url>');
      const bytes = Buffer.from(sealed.slice(version.length), 'base64url');
      if (bytes.length < nonceBytes + tagBytes) throw broken('it is cut short');
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, nonceBytes));
      decipher.setAAD(Buffer.from(context));
      decipher.setAuthTag(bytes.subarray(nonceBytes, nonceBytes + tagBytes));
      const text = decipher.update(bytes.subarray(nonceBytes + tagBytes));
      try {
        return Buffer.concat([text, decipher.final()]).toString('utf8');
      } catch {
        throw broken(
          'it was changed, belongs to another app or name, or was sealed with another key',
        );
      }
    },
  };
}

/** Reads the key; makes it (0600, durable before it is used) when there is none. */
export async function loadSealKey(path: string): Promise<Buffer> {
  const known = await readKey(path);
  if (known) return known;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const key = randomBytes(keyBytes);
  const draft = `${path}.${process.pid}`;
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(`${key.toString('base64')}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  const winner = await readKey(path);
  if (winner) {
    await rm(draft);
    return winner;
  }
  await rename(draft, path);
  return key;
}

async function readKey(path: string): Promise<Buffer | undefined> {
  try {
    const key = Buffer.from((await readFile(path, 'utf8')).trim(), 'base64');
    if (key.length === keyBytes) return key;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
  throw hostErrors.sealBroken(
    `the key file ${path} does not hold a 256-bit key: restore it from a backup`,
  );
}
