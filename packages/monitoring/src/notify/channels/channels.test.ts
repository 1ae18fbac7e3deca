import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { httpClient } from '@mnops/core/http';
import type { Notification } from '@mnops/core/spi';
import { faultServer, notifierContract, testCall } from '@mnops/core/testing';
import { describe, expect, it } from 'vitest';
import { consoleNotifier } from './console.js';
import { fileNotifier } from './file.js';
import { webhookNotifier } from './webhook.js';

const notification: Notification = {
  key: 'k',
  status: 'firing',
  severity: 'critical',
  title: 'Errors',
  text: '7 % of requests fail',
  labels: { service: 'shop' },
  links: [],
  startedAtMs: 1_700_000_000_000,
};

notifierContract(
  { describe, it },
  'consoleNotifier',
  async () => {
    const lines: string[] = [];
    return { provider: consoleNotifier({ write: (line) => lines.push(line) }), received: () => lines };
  },
  { titleAndTextOnly: true },
);

notifierContract({ describe, it }, 'fileNotifier', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'mnops-notify-'));
  const file = join(folder, 'alerts.jsonl');
  return {
    provider: fileNotifier({ file }),
    received: async () => (await readFile(file, 'utf8')).trim().split('\n'),
    close: () => rm(folder, { recursive: true, force: true }),
  };
});

notifierContract({ describe, it }, 'webhookNotifier', async () => {
  const server = await faultServer();
  const client = httpClient();
  return {
    provider: webhookNotifier({ url: `${server.url}/hook`, client }),
    faults: server,
    received: () => server.requests.map(({ body }) => String(body)),
    close: async () => {
      await client.close();
      await server.close();
    },
  };
});

describe('consoleNotifier', () => {
  it('writes one line without control characters', async () => {
    const lines: string[] = [];
    await consoleNotifier({ write: (line) => lines.push(line) }).send(
      { ...notification, text: 'a\n\u001b[31mb' },
      testCall(),
    );
    expect(lines).toEqual(['FIRING critical Errors: a [31mb']);
  });
});

describe('fileNotifier', () => {
  it('appends lines of JSON, and names a folder that is not there', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'mnops-notify-'));
    try {
      const file = join(folder, 'alerts.jsonl');
      const notifier = fileNotifier({ file });
      await notifier.send(notification, testCall());
      await notifier.send({ ...notification, status: 'resolved', endedAtMs: 1 }, testCall());
      const lines = (await readFile(file, 'utf8'))
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Notification);
      expect(lines.map(({ status }) => status)).toEqual(['firing', 'resolved']);
      const absent = fileNotifier({ file: join(folder, 'no', 'alerts.jsonl') });
      await expect(absent.send(notification, testCall())).rejects.toMatchObject({
        code: 'MNOPS_CORE_STORAGE_FAILED',
        details: { path: join(folder, 'no', 'alerts.jsonl'), reason: 'ENOENT' },
      });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

describe('webhookNotifier', () => {
  it('posts the notification, with the credential read at each use', async () => {
    const server = await faultServer();
    const client = httpClient();
    try {
      const tokens = ['Bearer one', 'Bearer two'];
      const notifier = webhookNotifier({
        url: `${server.url}/hook`,
        authorization: () => tokens.shift() ?? '',
        client,
      });
      await notifier.send(notification, testCall());
      await notifier.send(notification, testCall());
      expect(server.requests.map(({ headers }) => headers['authorization'])).toEqual(['Bearer one', 'Bearer two']);
      expect(JSON.parse(String(server.requests[0]?.body))).toMatchObject({ key: 'k', title: 'Errors' });
    } finally {
      await client.close();
      await server.close();
    }
  });

  it('refuses options it does not know, by name', () => {
    expect(() => webhookNotifier({ url: 'http://x', retries: 3 } as never)).toThrow(/retries/);
  });
});
