import assert from 'node:assert/strict';
import type { AppliedRotationContext, RotationContext, Rotator, SecretValue } from '../spi/secrets.js';
import { type ContractRunner, type ContractSubject, casesOf, failure, identityCases } from './contract.js';
import { testCall } from './test-call.js';

/** A rotator under test, with the target that it changes. */
export interface RotatorSubject extends ContractSubject<Rotator> {
  /** The value that the target accepts at first. */
  readonly current: Uint8Array;
  /** Whether the target accepts a value now. */
  accepts(value: Uint8Array): Promise<boolean>;
  /** Lets the target fail from now on, for instance by stopping it. */
  breakTarget?(): Promise<void>;
}

/** Holds a `Rotator` to its interface: each step does what it says, and may be repeated. */
export function rotatorContract(runner: ContractRunner, name: string, create: () => Promise<RotatorSubject>): void {
  runner.describe(`rotator contract: ${name}`, () => {
    const test = casesOf(runner, create);
    identityCases<Rotator>(test as Parameters<typeof identityCases<Rotator>>[0], 'rotator');

    test('generates another value each time, and changes nothing by it', async (subject) => {
      const { provider, current } = subject;
      const [first, second] = [await generated(subject), await generated(subject)];
      assert.notDeepEqual(Buffer.from(first), Buffer.from(second));
      assert.equal(await subject.accepts(first), false);
      assert.equal(await subject.accepts(current), true);
      assert.ok(provider.capabilities.overlap === true || provider.capabilities.overlap === false);
    });

    test('applies, verifies and revokes, each also twice', async (subject) => {
      const { provider, current } = subject;
      const pending = await generated(subject);
      const context = contextOf(current, pending);
      await twice(() => provider.apply(context));
      assert.equal(await subject.accepts(pending), true, 'the pending value works after apply');
      if (provider.capabilities.overlap) assert.equal(await subject.accepts(current), true, 'the old one still does');
      await twice(() => provider.verify(context));
      await twice(() => provider.revoke(context));
      assert.equal(await subject.accepts(pending), true);
      assert.equal(await subject.accepts(current), false, 'the old value does not work after revoke');
    });

    test('does not verify what was not applied', async (subject) => {
      const context = contextOf(subject.current, await generated(subject));
      await assert.rejects(() => subject.provider.verify(context));
    });

    test('discards what was applied', async (subject) => {
      const { provider, current } = subject;
      if (provider.discard === undefined) return;
      const pending = await generated(subject);
      const context = contextOf(current, pending);
      await provider.apply(context);
      await twice(async () => provider.discard?.(context));
      assert.equal(await subject.accepts(current), true);
      assert.equal(await subject.accepts(pending), false);
      await provider.discard(contextOf(current, await generated(subject)));
      assert.equal(await subject.accepts(current), true, 'discarding what was never applied changes nothing');
    });

    test('fails without showing a value when the target is gone', async (subject) => {
      if (subject.breakTarget === undefined) return;
      const pending = await generated(subject);
      await subject.breakTarget();
      const secrets = [Buffer.from(subject.current).toString('utf8'), Buffer.from(pending).toString('utf8')];
      await failure({ secrets }, () => subject.provider.apply(contextOf(subject.current, pending)));
    });
  });
}

async function generated({ provider, current }: RotatorSubject): Promise<Uint8Array> {
  const { pending: _, ...context } = contextOf(current, current);
  const value = await provider.generate(context satisfies RotationContext);
  return typeof value === 'string' ? Buffer.from(value) : value;
}

async function twice(run: () => Promise<void>): Promise<void> {
  await run();
  await run();
}

function contextOf(current: Uint8Array, pending: Uint8Array): AppliedRotationContext {
  const token = Buffer.from(pending).toString('hex').slice(0, 16);
  return {
    path: 'contract/rotated',
    token,
    current: contractValue(current, '1'),
    pending: contractValue(pending, '2'),
    call: testCall(),
  };
}

/** The least that a rotator may expect of a value. */
function contractValue(bytes: Uint8Array, version: string): SecretValue {
  const reveal = (): string => Buffer.from(bytes).toString('utf8');
  return {
    path: 'contract/rotated',
    version,
    stages: [version === '1' ? 'current' : 'pending'],
    provider: 'contract',
    stale: false,
    reveal,
    bytes: () => Uint8Array.from(bytes),
    json: <T>() => JSON.parse(reveal()) as T,
    field: (key) => String((JSON.parse(reveal()) as Record<string, unknown>)[key]),
    equals: (other) => Buffer.from(bytes).equals(typeof other === 'string' ? Buffer.from(other) : other),
  };
}
