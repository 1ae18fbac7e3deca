import { describe, expect, it } from 'vitest';
import { codeOf, MnopsError } from '../errors/mnops-error.js';
import { errorFromResponse, type HttpClient, httpClient, resourceUrl } from '../http/index.js';
import type { Call } from '../spi/base.js';
import type { Notification, Notifier } from '../spi/notifier.js';
import { failingCases } from './failing-cases.js';
import { faultServer } from './fault-server.js';
import { type NotifierSubject, notifierContract } from './notifier-contract.js';

interface Rules {
  readonly id: string;
  readonly maxBytes: number;
  readonly declaredBytes: number;
  text(notification: Notification, maxBytes: number): string;
  url(base: string, key: string): URL | string;
  send(client: HttpClient, url: URL | string, json: unknown, call: Call): Promise<void>;
}

const token = 'canary-token';

const good: Rules = {
  id: 'reference',
  maxBytes: 600,
  declaredBytes: 600,
  text: ({ text }, maxBytes) => {
    const bytes = Buffer.from(text);
    if (bytes.length <= maxBytes) return text;
    return new TextDecoder().decode(bytes.subarray(0, maxBytes), { stream: true });
  },
  url: (base, key) => resourceUrl(base, 'bells', key),
  send: async (client, url, json, call) => {
    const headers = { authorization: `Bearer ${token}` };
    const response = await client.request({ method: 'PUT', url, json, headers, signal: call.signal });
    if (response.status === 200) return;
    throw errorFromResponse(response, { provider: 'reference', operation: 'send' });
  },
};

/** A notifier over HTTP, with some of its rules broken. */
async function subject(broken: Partial<Rules>): Promise<NotifierSubject> {
  const rules = { ...good, ...broken };
  const server = await faultServer();
  const client = httpClient({ maxBytes: 65_536 });
  const provider: Notifier = {
    specVersion: 1,
    kind: 'notifier',
    id: rules.id,
    capabilities: { resolved: true, threads: false, maxBytes: rules.declaredBytes },
    async send(notification, call) {
      const json = { ...notification, text: rules.text(notification, rules.maxBytes) };
      await rules.send(client, rules.url(server.url, notification.key), json, call);
    },
  };
  return {
    provider,
    faults: server,
    secrets: [token],
    received: () => server.requests.map((request) => request.text()),
    close: async () => {
      await client.close();
      await server.close();
    },
  };
}

notifierContract({ describe, it }, 'a bell over HTTP', () => subject({}));
notifierContract({ describe, it }, 'a notifier without a back end', async () => ({
  provider: {
    specVersion: 1,
    kind: 'notifier',
    id: 'nowhere',
    capabilities: { resolved: false, threads: false, maxBytes: 2_000_000 },
    send: async () => undefined,
  },
}));

describe('notifierContract catches a notifier that', () => {
  const refusals = [401, 403, 429, 500, 503];
  const cases: [string, Partial<Rules>, RegExp[]][] = [
    ['has no stable id', { id: 'My Notifier' }, [/stable id/]],
    ['declares no room', { declaredBytes: 0 }, [/declares what the channel can do/, /too long/]],
    ['loses the text', { text: () => '' }, [/delivers title and text/, /too long/]],
    ['cuts a character in half', { text: ({ text }) => Buffer.from(text).subarray(0, 500).toString() }, [/too long/]],
    ['does not cut', { text: ({ text }) => text }, [/too long/]],
    ['lets a key climb', { url: (base, key) => `${base}/bells/${key.replace(/[^.a-z/]/g, '-')}/x` }, [/any key/]],
    [
      'says nothing of a failed request',
      {
        send: async (client, url, json, call) => {
          await client.request({ method: 'PUT', url, json, signal: call.signal });
        },
      },
      [...refusals.map((status) => new RegExp(`an answer ${status} `)), /redirect/],
    ],
    [
      'repeats in secret',
      {
        send: async (client, url, json, call) => {
          await good.send(client, url, json, call).catch(async (error: unknown) => {
            if (!MnopsError.is(error) || !error.retryable) throw error;
            await good.send(client, url, json, call);
          });
        },
      },
      [/an answer 429/, /an answer 500/, /an answer 503/, /connection that breaks/],
    ],
    [
      'follows a redirect',
      {
        send: async (client, url, json, call) => {
          const response = await client.request({ method: 'PUT', url, json, signal: call.signal });
          if (response.status === 307) return await good.send(client, new URL('/elsewhere', url), json, call);
          if (response.status !== 200) throw errorFromResponse(response, { provider: 'reference', operation: 'send' });
        },
      },
      [/redirect/],
    ],
    [
      'does not listen to aborts',
      {
        send: (client, url, json) => {
          const never = new AbortController();
          const call = { signal: never.signal, remainingMs: () => 1, secret: async () => '' };
          return Promise.race([
            good.send(client, url, json, call),
            new Promise<void>((resolve) => setTimeout(resolve, 300)),
          ]);
        },
      },
      [/an abort ends it at once/, /aborted already/],
    ],
    [
      'wraps the reason of an abort',
      {
        send: (client, url, json, call) =>
          good.send(client, url, json, call).catch((error: unknown) => {
            throw MnopsError.is(error) ? error : new Error('wrapped', { cause: error });
          }),
      },
      [/an abort ends it at once/, /aborted already/],
    ],
    [
      'shows its token when it fails',
      {
        send: (client, url, json, call) =>
          good.send(client, url, json, call).catch((error: unknown) => {
            if (codeOf(error) !== 'MNOPS_CORE_ACCESS_DENIED') throw error;
            throw new MnopsError('MNOPS_CORE_ACCESS_DENIED', `refused: Bearer ${token}`);
          }),
      },
      [/an answer 403/],
    ],
    [
      'throws errors of its own kind',
      {
        send: (client, url, json, call) =>
          good.send(client, url, json, call).catch((error: unknown) => {
            throw codeOf(error) === 'MNOPS_CORE_UNAUTHENTICATED' ? new Error('401') : error;
          }),
      },
      [/an answer 401/],
    ],
  ];
  it.each(cases)('%s', async (_, broken, expected) => {
    const failing = await failingCases((runner) => notifierContract(runner, 'broken', () => subject(broken)));
    expect(failing).toHaveLength(expected.length);
    for (const [index, pattern] of expected.entries()) expect(failing[index]).toMatch(pattern);
  });
});
