import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { httpClient } from './client.js';

function openssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe.skipIf(!openssl())('httpClient over TLS (needs openssl for certificates)', () => {
  let folder: string;
  let server: Server;
  let url: string;
  const pem = (name: string) => readFileSync(join(folder, name), 'utf8');
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'mnops-tls-'));
    for (const name of ['server', 'client']) {
      const subject = ['-subj', '/CN=parts.test', '-addext', 'subjectAltName=DNS:parts.test'];
      const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
      const files = ['-keyout', join(folder, `${name}.key`), '-out', join(folder, `${name}.pem`)];
      execFileSync('openssl', ['req', '-x509', ...key, ...subject, ...files], { stdio: 'ignore' });
    }
    const keys = { cert: pem('server.pem'), key: pem('server.key'), ca: pem('client.pem'), requestCert: true };
    server = createServer({ ...keys, rejectUnauthorized: false }, (incoming, outgoing) => {
      const { authorized } = incoming.socket as unknown as { authorized: boolean };
      outgoing.end(authorized ? 'known client' : 'stranger');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('trusts the authority it is given, under the name it is given', async () => {
    const client = httpClient({ tls: { ca: pem('server.pem'), servername: 'parts.test' } });
    expect((await client.request({ url })).text()).toBe('stranger');
    await client.close();
  });

  it('shows a client certificate', async () => {
    const tls = { ca: [pem('server.pem')], servername: 'parts.test', cert: pem('client.pem'), key: pem('client.key') };
    const client = httpClient({ tls });
    expect((await client.request({ url })).text()).toBe('known client');
    await client.close();
  });

  it('refuses a stranger and a wrong name, for good', async () => {
    const refused = { code: 'MNOPS_CORE_UNAVAILABLE', retryable: false };
    const plain = httpClient();
    await expect(plain.request({ url })).rejects.toMatchObject(refused);
    const misnamed = httpClient({ tls: { ca: pem('server.pem'), servername: 'other.test' } });
    await expect(misnamed.request({ url })).rejects.toMatchObject(refused);
    await plain.close();
    await misnamed.close();
  });
});
