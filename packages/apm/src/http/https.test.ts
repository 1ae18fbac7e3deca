import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Span } from '@mnops/core/spi';
import { partSuite } from '@mnops/tooling/parts';
import { describe, expect, it } from 'vitest';
import { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';
import { instrumentHttp } from './index.js';

partSuite({ describe, it }, 'openssl', 'instrumentHttp over TLS', (openssl) => {
  it('sees both sides, in every form of call', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'apm-https-'));
    const { cert: ca, key } = openssl.selfSigned(folder, ['DNS:localhost', 'IP:127.0.0.1']);
    const apm = new PerformanceMonitoringManager({ service: 'web', registerGlobals: false });
    await apm.start();
    const undo = instrumentHttp(apm);
    const server = https.createServer({ key, cert: ca }, (_request, response) => response.end());
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
