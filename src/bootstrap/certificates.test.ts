// Which certificate serves the domain, and whom clients must trust for it.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { appendFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { createMemoryStore } from '#layer0/store/fake';
import { type Certificate, certificateKey } from '#layer1/router/wire';
import { ensureOwn, readGiven } from './certificates.ts';
import { run } from './command.ts';
import { ensureCertificate } from './ensure-certificate.ts';

const domain = 'apps.example.com';
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-certificates-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** What another Gantry's authority signed is a certificate of a private authority like any other. */
async function privateFiles(name = 'company') {
  const home = join(folder, name);
  const { caPem } = await ensureOwn(home, domain);
  const file = (end: string) => join(home, 'ca', end);
  return {
    certificateFile: file(`${domain}.crt`),
    keyFile: file(`${domain}.key`),
    caFile: file('ca.crt'),
    caPem,
  };
}

describe('a certificate of our own authority', () => {
  test('names the domain and everything below it, and stays while it is good', async () => {
    const first = await ensureOwn(folder, domain);
    const certificate = new X509Certificate(first.certificatePem);
    assert.equal(certificate.checkHost(domain), domain);
    assert.notEqual(certificate.checkHost(`shop.${domain}`), undefined);
    assert.equal(certificate.checkHost('example.com'), undefined);
    assert(certificate.verify(new X509Certificate(first.caPem ?? '').publicKey));
    assert.deepEqual(await ensureOwn(folder, domain), first);
    assert.equal((await stat(join(folder, 'ca'))).mode & 0o777, 0o700);
  });
});

describe('a certificate that is given', () => {
  test('must fit the key and the domain', async () => {
    const { certificateFile, keyFile } = await privateFiles();
    await ensureOwn(join(folder, 'company'), 'other.example.com');
    const other = (end: string) => join(folder, 'company/ca', `other.example.com.${end}`);
    const caFile = undefined;
    const given = await readGiven({ certificateFile, keyFile, caFile }, domain);
    assert.deepEqual(Object.keys(given), ['certificatePem', 'keyPem']);
    assert.equal(given.certificatePem, await readFile(certificateFile, 'utf8'));
    const mixed = readGiven({ certificateFile, keyFile: other('key'), caFile }, domain);
    await assert.rejects(mixed, /is not the key of/);
    const wrong = { certificateFile: other('crt'), keyFile: other('key'), caFile };
    await assert.rejects(readGiven(wrong, domain), /is not for \*\.apps\.example\.com/);
  });

  test('must be signed by the authority that is given with it, where one is', async () => {
    const files = await privateFiles();
    assert.equal((await readGiven(files, domain)).caPem, files.caPem);
    const { caFile } = await privateFiles('another');
    await assert.rejects(readGiven({ ...files, caFile }, domain), /did not sign/);
    // One among several is enough, and a certificate that stands for itself is its own authority.
    await appendFile(caFile, files.caPem ?? '');
    await readGiven({ ...files, caFile }, domain);
    await readGiven({ ...files, caFile: files.certificateFile }, domain);
    await writeFile(caFile, 'no PEM');
    await assert.rejects(readGiven({ ...files, caFile }, domain), /holds no certificate/);
  });

  test('may be signed by one in between, if that one is in its chain', async () => {
    const home = join(folder, 'chain');
    await run('sh', ['-c', chainScript, 'sh', home, domain]);
    const files = { keyFile: join(home, 'leaf.key'), caFile: join(home, 'root.crt') };
    const alone = { ...files, certificateFile: join(home, 'leaf.crt') };
    await assert.rejects(readGiven(alone, domain), /did not sign.*missing between them/);
    await readGiven({ ...files, certificateFile: join(home, 'chain.crt') }, domain);
  });
});

/** root -> between -> leaf, in the folder $1 for the domain $2. */
const chainScript = `
set -e; mkdir -p "$1"; cd "$1"
key() { openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key" 2>/dev/null || openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }
for name in root between leaf; do key $name; done
openssl req -x509 -new -key root.key -days 30 -subj /CN=root -addext basicConstraints=critical,CA:TRUE -out root.crt
sign() {
  openssl req -new -key "$1.key" -subj "/CN=$1" -out "$1.csr"
  printf '%s\\n' "$3" >"$1.ext"
  openssl x509 -req -in "$1.csr" -CA "$2.crt" -CAkey "$2.key" -CAcreateserial -days 30 -extfile "$1.ext" -out "$1.crt"
}
sign between root basicConstraints=critical,CA:TRUE
sign leaf between "subjectAltName=DNS:$2,DNS:*.$2"
cat leaf.crt between.crt >chain.crt
`;

describe('what serves the domain', () => {
  const machine = () => ({ home: join(folder, 'home'), domain });
  const host = { seal: async (context: string, text: string) => `${context}:${text.length}` };

  test('is a given certificate until another is given, and its authority is known to later runs', async () => {
    const store = createMemoryStore();
    const deps = { store, host };
    const served = async () =>
      (await store.get<Certificate>(certificateKey(domain)))?.value.certificatePem;
    const company = await privateFiles();
    const given = await readFile(company.certificateFile, 'utf8');

    const own = await ensureCertificate({}, machine(), deps);
    assert.equal(own, await readFile(join(machine().home, 'ca/ca.crt'), 'utf8'));
    assert.equal(await ensureCertificate({}, machine(), deps), own);

    assert.equal(await ensureCertificate(company, machine(), deps), company.caPem);
    assert.equal(await served(), given);
    assert.equal(await ensureCertificate({}, machine(), deps), company.caPem);
    assert.equal(await served(), given, 'kept by the next run');

    // The same one, and its authority is one that every machine knows: nobody has to be told.
    const { certificateFile, keyFile } = company;
    assert.equal(await ensureCertificate({ certificateFile, keyFile }, machine(), deps), undefined);
    assert.equal(await ensureCertificate({}, machine(), deps), undefined);
    assert.equal(await served(), given);

    // Removed: back to our own.
    await store.txn({ compare: [], operations: [{ delete: certificateKey(domain) }] });
    assert.equal(await ensureCertificate({}, machine(), deps), own);
    await store.close();
  });
});
