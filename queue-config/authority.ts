/** The certificate authority of a broker, where it is the operator's own. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';

/**
 * Reads the file that BROKER_CA names: PEM certificates, trusted for the broker beside those that Node.js trusts.
 * @throws {RangeError} it cannot be read, or there is no certificate in it
 */
export function readAuthority(path: string): string {
  let pem: string;
  try {
    pem = readFileSync(path, 'utf8');
  } catch (error) {
    throw new RangeError(`${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  try {
    new X509Certificate(pem);
  } catch (error) {
    throw new RangeError(`${path} has no certificate in PEM, -----BEGIN CERTIFICATE-----`, { cause: error });
  }
  return pem;
}
