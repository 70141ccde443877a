/** A certificate authority of the test's own, and a certificate of it for a broker on loopback. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Certificates {
  /** PEM; what clients trust. */
  readonly authority: string;
  /** File of the same. */
  readonly authorityFile: string;
  /** Files in PEM. */
  readonly certificateFile: string;
  readonly keyFile: string;
  /** Certificate and key in PKCS 12. */
  readonly keyStoreFile: string;
  readonly keyStorePassword: string;
}

const SUBJECT_NAMES = 'subjectAltName=DNS:localhost,IP:127.0.0.1';

/** Makes them in `folder`, valid for two days. */
export function makeCertificates(folder: string): Certificates {
  const file = (name: string): string => join(folder, name);
  const openssl = (...args: string[]): void =>
    void execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  const keyStorePassword = 'not-a-secret';
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=a test authority');
  openssl('req', ...key, '-keyout', 'broker.key', '-out', 'broker.csr', '-subj', '/CN=localhost');
  writeFileSync(file('names'), SUBJECT_NAMES);
  const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'names'];
  openssl('x509', '-req', '-in', 'broker.csr', '-out', 'broker.pem', ...signed);
  const password = ['-passout', `pass:${keyStorePassword}`];
  openssl('pkcs12', '-export', '-in', 'broker.pem', '-inkey', 'broker.key', '-out', 'broker.p12', ...password);
  return {
    authority: readFileSync(file('ca.pem'), 'utf8'),
    authorityFile: file('ca.pem'),
    certificateFile: file('broker.pem'),
    keyFile: file('broker.key'),
    keyStoreFile: file('broker.p12'),
    keyStorePassword,
  };
}
