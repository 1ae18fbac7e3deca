import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Span } from '@mnops/core/spi';
import { describe, expect, it } from 'vitest';
import { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';
import { instrumentHttp } from './index.js';

function openssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe.skipIf(!openssl())('instrumentHttp over TLS (needs openssl for certificates)', () => {
  it('sees both sides, in every form of call', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'apm-https-'));
    const [keyFile, certFile] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    const files = ['-keyout', keyFile, '-out', certFile, '-days', '1'];
    execFileSync('openssl', ['req', '-x509', ...key, ...subject, ...files], { stdio: 'ignore' });
    const ca = readFileSync(certFile);
    const apm = new PerformanceMonitoringManager({ service: 'web', registerGlobals: false });
    await apm.start();
    const undo = instrumentHttp(apm);
    const server = https.createServer({ key: readFileSync(keyFile), cert: ca }, (_request, response) => response.end());
    server.listen(0, '127.0.0.1');
    try {
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      const url = `https://127.0.0.1:${port}/a`;
      const options = { hostname: '127.0.0.1', port, path: '/a', ca, agent: new https.Agent() };
      for (const sent of [https.get(url, { ca }), https.get(new URL(url), { ca }), https.get(options)]) {
        const [response] = (await once(sent, 'response')) as [IncomingMessage];
        for await (const _ of response);
      }
      await expect.poll(() => apm.stats().spans).toMatchObject({ ended: 6, open: 0 });
      const found: Span[] = [];
      for await (const { spans } of apm.findTraces()) found.push(...spans);
      const said = found.map(({ kind, attributes, parentSpanId }) => [
        kind,
        attributes['url.full'] ?? attributes['url.scheme'],
        attributes['server.port'],
        parentSpanId === undefined,
      ]);
      expect(said.filter(([kind]) => kind === 'client')).toEqual(Array(3).fill(['client', url, port, true]));
      expect(said.filter(([kind]) => kind === 'server')).toEqual(Array(3).fill(['server', 'https', port, false]));
    } finally {
      undo();
      server.closeAllConnections();
      server.close();
      await apm.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
