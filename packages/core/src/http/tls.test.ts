import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { partSuite } from '@mnops/tooling/parts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { httpClient } from './client.js';

partSuite({ describe, it }, 'openssl', 'httpClient over TLS', (openssl) => {
  let folder: string;
  let server: Server;
  let url: string;
  let own: { readonly cert: string; readonly key: string };
  let known: { readonly cert: string; readonly key: string };
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'mnops-tls-'));
    own = openssl.selfSigned(folder, ['DNS:parts.test']);
    known = openssl.selfSigned(folder, ['DNS:client.test']);
    const keys = { cert: own.cert, key: own.key, ca: known.cert, requestCert: true };
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
    const client = httpClient({ tls: { ca: own.cert, servername: 'parts.test' } });
    expect((await client.request({ url })).text()).toBe('stranger');
    await client.close();
  });

  it('shows a client certificate', async () => {
    const tls = { ca: [own.cert], servername: 'parts.test', cert: known.cert, key: known.key };
    const client = httpClient({ tls });
    expect((await client.request({ url })).text()).toBe('known client');
    await client.close();
  });

  it('refuses a stranger and a wrong name, for good', async () => {
    const refused = { code: 'MNOPS_CORE_UNAVAILABLE', retryable: false };
    const plain = httpClient();
    await expect(plain.request({ url })).rejects.toMatchObject(refused);
    const misnamed = httpClient({ tls: { ca: own.cert, servername: 'other.test' } });
    await expect(misnamed.request({ url })).rejects.toMatchObject(refused);
    await plain.close();
    await misnamed.close();
  });
});
