import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findOnPath, type Part } from './part.js';
import { askProgram } from './program.js';

/** A certificate that vouches for itself, and its key, as PEM. */
export interface SelfSigned {
  readonly cert: string;
  readonly key: string;
}

/** The openssl command: makes certificates for tests of TLS. */
export interface OpensslPart extends Part {
  readonly id: 'openssl';
  /**
   * Makes a certificate of a day.
   *
   * @param folder - Where its files are left; the caller removes it.
   * @param names - As in `subjectAltName`, such as `DNS:localhost`; the first one is its common name.
   */
  selfSigned(folder: string, names: readonly [string, ...string[]]): SelfSigned;
}

export function openssl(): OpensslPart {
  const path = findOnPath('openssl') ?? '';
  return {
    id: 'openssl',
    purpose: 'core, apm: certificates for tests of TLS',
    available: path !== '',
    get version() {
      return path === '' ? undefined : askProgram(path, ['version'], /\d+\.\d+[\w.]*/);
    },
    installLine: 'apt-get install -y openssl',
    selfSigned(folder, names) {
      const [first] = names;
      const name = first.slice(first.indexOf(':') + 1);
      const [keyFile, certFile] = [join(folder, `${name}.key`), join(folder, `${name}.pem`)];
      const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=${names.join()}`];
      const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
      const files = ['-keyout', keyFile, '-out', certFile, '-days', '1'];
      execFileSync(path, ['req', '-x509', ...key, ...subject, ...files], { stdio: 'ignore' });
      return { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
    },
  };
}
