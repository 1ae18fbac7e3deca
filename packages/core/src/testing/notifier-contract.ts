import assert from 'node:assert/strict';
import { MnopsError } from '../errors/mnops-error.js';
import type { Notification, Notifier } from '../spi/notifier.js';
import { type ContractRunner, type ContractSubject, casesOf, identityCases, remoteFailureCases } from './contract.js';
import { testCall } from './test-call.js';

/** A notifier under test. */
export interface NotifierSubject extends ContractSubject<Notifier> {
  /** Text of everything that reached the channel so far, in order; without it, arrival is not checked. */
  received?(): readonly string[] | Promise<readonly string[]>;
}

/** What a channel cannot do better. */
export interface NotifierLimits {
  /** Whether severity, links and labels are left out of the message. Default false. */
  readonly titleAndTextOnly?: boolean | undefined;
}

const example: Notification = Object.freeze({
  key: 'alert:checkout',
  status: 'firing',
  severity: 'critical',
  title: 'Checkout is failing',
  text: '5 % of requests fail.',
  labels: Object.freeze({ service: 'checkout', region: 'eu' }),
  links: Object.freeze([Object.freeze({ title: 'Runbook', url: 'https://runbooks.test/checkout' })]),
  startedAtMs: Date.UTC(2026, 0, 1),
});

/** Keys that would climb or split if they were put into an address or a file name unencoded. */
const awkwardKeys = [
  '..',
  '.',
  'a/../b',
  'a/b',
  '%2e%2e',
  'ключ ☂',
  'a b?c#d',
  'line\nbreak',
  '"quoted"',
  '-'.repeat(300),
];

/** Holds a `Notifier` to its interface: every status arrives, repeats are harmless, keys cannot escape, failures are told. */
export function notifierContract(
  runner: ContractRunner,
  name: string,
  create: () => Promise<NotifierSubject>,
  limits: NotifierLimits = {},
): void {
  runner.describe(`notifier contract: ${name}`, () => {
    const test = casesOf(runner, create);
    identityCases<Notifier>(test, 'notifier');

    test('declares what the channel can do', async ({ provider: { capabilities } }) => {
      assert.equal(typeof capabilities.resolved, 'boolean');
      assert.equal(typeof capabilities.threads, 'boolean');
      assert.ok(capabilities.maxBytes > 0, 'maxBytes is above 0');
    });

    test('delivers title and text', async ({ provider, received }) => {
      await provider.send(example, testCall());
      const texts = await received?.();
      if (texts === undefined) return;
      assert.equal(texts.length, 1);
      assert.ok(texts[0]?.includes(example.title), 'the title arrives');
      assert.ok(texts[0]?.includes('5 % of requests fail.'), 'the text arrives');
      if (limits.titleAndTextOnly !== true) assert.ok(texts[0]?.includes('critical'), 'the severity arrives');
    });

    test('takes every status and severity', async ({ provider }) => {
      for (const status of ['firing', 'resolved', 'info'] as const) {
        for (const severity of ['info', 'warning', 'critical'] as const) {
          const endedAtMs = status === 'resolved' ? example.startedAtMs + 60_000 : undefined;
          const answer: unknown = await provider.send({ ...example, status, severity, endedAtMs }, testCall());
          assert.equal(answer, undefined);
        }
      }
    });

    test('takes a resolved notification that it never saw firing', async ({ provider }) => {
      await provider.send({ ...example, status: 'resolved', endedAtMs: example.startedAtMs + 1 }, testCall());
    });

    test('takes the same notification again', async ({ provider }) => {
      await provider.send(example, testCall());
      await provider.send(example, testCall());
    });

    test('takes any key, and none leads elsewhere', async ({ provider, faults }) => {
      for (const key of ['plain', ...awkwardKeys]) {
        const problem = await provider.send({ ...example, key }, testCall()).catch((error: unknown) => error);
        // A channel may refuse a key that it cannot carry, with an error of its own.
        assert.ok(problem === undefined || MnopsError.is(problem), `key ${JSON.stringify(key)}: ${String(problem)}`);
      }
      const paths = (faults?.requests ?? []).map(({ url }) => url.split('?')[0]?.split('/').map(safelyDecoded) ?? []);
      for (const path of paths) {
        assert.ok(!path.some((segment) => segment === '.' || segment === '..'), `dot segment in ${path.join('/')}`);
        assert.equal(path.length, paths[0]?.length, `a key changed the place of the request: ${path.join('/')}`);
      }
    });

    test('cuts a text that is too long at a character', async ({ provider, received }) => {
      const maxBytes = Math.min(provider.capabilities.maxBytes, 1_000_000);
      await provider.send({ ...example, text: '☂'.repeat(Math.ceil(maxBytes / 3) + 100) }, testCall());
      const texts = await received?.();
      if (texts === undefined) return;
      const arrived = texts.join('');
      assert.ok(!arrived.includes('\ufffd'), 'no character is cut in half');
      if (provider.capabilities.maxBytes > maxBytes) return;
      const umbrellas = arrived.split('☂').length - 1;
      assert.ok(umbrellas > 0, 'something of the text arrives');
      assert.ok(umbrellas * 3 <= maxBytes, 'no more than maxBytes of the text arrive');
    });

    test('delivers what is sent at the same time', async ({ provider, received }) => {
      const titles = Array.from({ length: 5 }, (_, index) => `Title number ${index}`);
      await Promise.all(
        titles.map((title, index) => provider.send({ ...example, key: `k${index}`, title }, testCall())),
      );
      const texts = await received?.();
      if (texts === undefined) return;
      for (const title of titles)
        assert.ok(
          texts.some((text) => text.includes(title)),
          `${title} arrives`,
        );
    });

    remoteFailureCases<Notifier>(test, {
      send: { readsBody: false, run: (provider, call) => provider.send(example, call) },
    });
  });
}

function safelyDecoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
