import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type {
  AppliedRotationContext,
  RotationContext,
  RotationStrategy,
  Rotator,
  SecretStage,
  SecretValue,
} from '../spi/secrets.js';
import { type ContractRunner, type ContractSubject, casesOf, failure, identityCases } from './contract.js';
import { testCall } from './test-call.js';

/** A rotator under test, with the target that it changes. */
export interface RotatorSubject extends ContractSubject<Rotator> {
  /** The value that the target accepts at first. */
  readonly current: Uint8Array;
  /** Value of the secret that the rotator names as its `admin`. */
  readonly admin?: Uint8Array | undefined;
  /** Whether the target accepts a value now. Absent: there is no target but the readers, who accept what the store marks. */
  accepts?(value: Uint8Array): Promise<boolean>;
  /** Lets the target fail from now on, for instance by stopping it. */
  breakTarget?(): Promise<void>;
}

/** Holds a `Rotator` to its interface: each step does what it says under each of its strategies, and may be repeated. */
export function rotatorContract(runner: ContractRunner, name: string, create: () => Promise<RotatorSubject>): void {
  runner.describe(`rotator contract: ${name}`, () => {
    const test = casesOf(runner, create);
    identityCases<Rotator>(test as Parameters<typeof identityCases<Rotator>>[0], 'rotator');

    test('says which strategies it can follow', async ({ provider }) => {
      const { strategies, overlap } = provider.capabilities;
      assert.ok(strategies.length > 0);
      for (const strategy of strategies) assert.ok(strategy === 'single-user' || strategy === 'dual-user', strategy);
      assert.equal(new Set(strategies).size, strategies.length);
      assert.ok(overlap === true || overlap === false);
    });

    for (const strategy of ['single-user', 'dual-user'] as const) {
      strategyCases(strategy, (title, body) =>
        test(`${strategy}: ${title}`, async (subject) => {
          if (subject.provider.capabilities.strategies.includes(strategy)) await body(subject);
        }),
      );
    }
  });
}

function strategyCases(
  strategy: RotationStrategy,
  test: (title: string, body: (subject: RotatorSubject) => Promise<void>) => void,
): void {
  test('generates another value each time, and changes nothing by it', async (subject) => {
    const { current } = subject;
    const values = [await generated(subject, strategy), await generated(subject, strategy)] as const;
    assert.notDeepEqual(Buffer.from(values[0]), Buffer.from(values[1]));
    await expectAccepted(subject, values[0], false);
    await expectAccepted(subject, current, true);
  });

  test('applies, verifies and revokes, each also twice, and again from the new value on', async (subject) => {
    const { provider } = subject;
    const overlaps = strategy === 'dual-user' || provider.capabilities.overlap;
    let { current } = subject;
    let previous: Uint8Array | undefined;
    for (let turn = 1; turn <= 3; turn += 1) {
      const pending = await generated(subject, strategy, { current, previous });
      const context = contextOf(subject, strategy, { current, previous, pending });
      await twice(() => provider.apply(context));
      await expectAccepted(subject, pending, true, 'the pending value works after apply');
      if (overlaps) await expectAccepted(subject, current, true, 'the old one still does');
      await twice(() => provider.verify(context));
      if (overlaps) await expectAccepted(subject, current, true, 'verifying takes nothing away');
      await twice(() => provider.revoke(context));
      await expectAccepted(subject, pending, true, 'the new value works after revoke');
      await expectAccepted(subject, current, false, 'the old value does not work after revoke');
      previous = current;
      current = pending;
    }
  });

  test('does not verify what was not applied', async (subject) => {
    if (subject.accepts === undefined) return;
    const context = contextOf(subject, strategy, { pending: await generated(subject, strategy) });
    await assert.rejects(() => subject.provider.verify(context));
  });

  test('discards what was applied', async (subject) => {
    const { provider, current } = subject;
    if (provider.discard === undefined) return;
    const pending = await generated(subject, strategy);
    const context = contextOf(subject, strategy, { pending });
    await provider.apply(context);
    await twice(async () => provider.discard?.(context));
    await expectAccepted(subject, current, true, 'the current value works after discard');
    await expectAccepted(subject, pending, false, 'the pending value does not work after discard');
    await provider.discard(contextOf(subject, strategy, { pending: await generated(subject, strategy) }));
    await expectAccepted(subject, current, true, 'discarding what was never applied changes nothing');
  });

  test('discards what was never applied', async (subject) => {
    const { provider, current } = subject;
    if (provider.discard === undefined) return;
    const pending = await generated(subject, strategy);
    await provider.discard(contextOf(subject, strategy, { pending }));
    await expectAccepted(subject, current, true);
    await expectAccepted(subject, pending, false);
  });

  test('fails without showing a value when the target is gone', async (subject) => {
    if (subject.breakTarget === undefined) return;
    const pending = await generated(subject, strategy);
    await subject.breakTarget();
    const values = [subject.current, pending, ...(subject.admin === undefined ? [] : [subject.admin])];
    const secrets = values.flatMap(textsOf);
    await failure({ secrets }, () => subject.provider.apply(contextOf(subject, strategy, { pending })));
  });
}

async function expectAccepted(
  subject: RotatorSubject,
  value: Uint8Array,
  expected: boolean,
  why?: string,
): Promise<void> {
  if (subject.accepts !== undefined) assert.equal(await subject.accepts(value), expected, why);
}

interface ContractValues {
  readonly current?: Uint8Array | undefined;
  readonly previous?: Uint8Array | undefined;
  readonly pending?: Uint8Array | undefined;
}

async function generated(
  subject: RotatorSubject,
  strategy: RotationStrategy,
  values: ContractValues = {},
): Promise<Uint8Array> {
  const { current } = subject;
  const { pending: _, ...context } = contextOf(subject, strategy, { current, ...values, pending: current });
  const value = await subject.provider.generate(context satisfies RotationContext);
  return typeof value === 'string' ? Buffer.from(value) : value;
}

async function twice(run: () => Promise<void>): Promise<void> {
  await run();
  await run();
}

function contextOf(
  { current: first, admin }: RotatorSubject,
  strategy: RotationStrategy,
  { current = first, previous, pending = first }: ContractValues,
): AppliedRotationContext {
  return {
    path: 'contract/rotated',
    token: createHash('sha256').update(pending).digest('hex').slice(0, 32),
    strategy,
    current: contractValue(current, 'current'),
    pending: contractValue(pending, 'pending'),
    ...(previous === undefined ? {} : { previous: contractValue(previous, 'previous') }),
    ...(admin === undefined ? {} : { admin: contractValue(admin, 'current', 'contract/admin') }),
    call: testCall(),
  };
}

/** What no failure may show of a value: all of it, and its password where it has one. */
function textsOf(value: Uint8Array): string[] {
  const text = Buffer.from(value).toString('utf8');
  const password = /"password":"([^"\\]+)"/.exec(text)?.[1];
  return password === undefined ? [text] : [text, password];
}

/** The least that a rotator may expect of a value. */
function contractValue(bytes: Uint8Array, stage: SecretStage, path = 'contract/rotated'): SecretValue {
  const reveal = (): string => Buffer.from(bytes).toString('utf8');
  return {
    path,
    version: stage,
    stages: [stage],
    provider: 'contract',
    stale: false,
    reveal,
    bytes: () => Uint8Array.from(bytes),
    json: <T>() => JSON.parse(reveal()) as T,
    field: (key) => String((JSON.parse(reveal()) as Record<string, unknown>)[key]),
    equals: (other) => Buffer.from(bytes).equals(typeof other === 'string' ? Buffer.from(other) : other),
  };
}
