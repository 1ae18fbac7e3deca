import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { MnopsError } from '../errors/mnops-error.js';
import type { KeyWrapper } from '../spi/key-wrapper.js';
import { type ContractRunner, type ContractSubject, casesOf, identityCases } from './contract.js';
import { testCall } from './test-call.js';

/** A key wrapper under test. */
export interface KeyWrapperSubject extends ContractSubject<KeyWrapper> {
  /** Another wrapper around the same key, as another process would make it. */
  readonly same: KeyWrapper;
  /** A wrapper around another key, under whichever id. */
  readonly other: KeyWrapper;
}

const context = Buffer.from('contract context');

/** Holds a `KeyWrapper` to its interface: it unwraps what it wrapped, and nothing that was changed, moved or is another's. */
export function keyWrapperContract(
  runner: ContractRunner,
  name: string,
  create: () => Promise<KeyWrapperSubject>,
): void {
  runner.describe(`key wrapper contract: ${name}`, () => {
    const test = casesOf(runner, create);
    identityCases<KeyWrapper>(test, 'key-wrapper');

    test('names its key in 1 to 255 bytes, always the same', async ({ provider, same }) => {
      const { length } = Buffer.from(provider.keyId);
      assert.ok(length >= 1 && length <= 255, `a key id of ${length} bytes`);
      assert.equal(same.keyId, provider.keyId);
    });

    test('gives the data key back, also to another process', async ({ provider, same }) => {
      const dataKey = randomBytes(32);
      const given = Buffer.from(dataKey);
      const wrapped = await provider.wrap(given, context, testCall());
      for (const wrapper of [provider, same]) await assertUnwraps(wrapper, provider.keyId, wrapped, dataKey);
      assert.deepEqual(given, dataKey, 'the data key that was given is not changed');
    });

    test('wraps the same key to other bytes each time, and never in the open', async ({ provider }) => {
      const dataKey = randomBytes(32);
      const one = Buffer.from(await provider.wrap(dataKey, context, testCall()));
      const two = Buffer.from(await provider.wrap(dataKey, context, testCall()));
      assert.notDeepEqual(one, two);
      assert.ok(!one.includes(dataKey.subarray(0, 8)), 'the wrapped key does not hold the key');
    });

    test('hands out memory of its own', async ({ provider }) => {
      const dataKey = randomBytes(32);
      const wrapped = await provider.wrap(dataKey, context, testCall());
      (await provider.unwrap(provider.keyId, wrapped, context, testCall())).fill(0);
      await assertUnwraps(provider, provider.keyId, wrapped, dataKey);
    });

    test('refuses another context', async ({ provider }) => {
      const wrapped = await provider.wrap(randomBytes(32), context, testCall());
      for (const changed of [Buffer.alloc(0), Buffer.from('contract contexu'), Buffer.from('contract context ')]) {
        await assertRefuses(provider, wrapped, changed);
      }
    });

    test('refuses what another key wrapped', async ({ provider, other }) => {
      const wrapped = await other.wrap(randomBytes(32), context, testCall());
      await assertRefuses(provider, wrapped, context);
    });

    test('refuses every flipped byte and every cut', async ({ provider }) => {
      const wrapped = Buffer.from(await provider.wrap(randomBytes(32), context, testCall()));
      for (let index = 0; index < wrapped.length; index++) {
        const changed = Buffer.from(wrapped);
        changed[index] = (changed[index] as number) ^ 1;
        await assertRefuses(provider, changed, context);
      }
      for (const length of [0, 1, wrapped.length - 1]) {
        await assertRefuses(provider, wrapped.subarray(0, length), context);
      }
    });

    test('does nothing for a call that is aborted already', async ({ provider }) => {
      const wrapped = await provider.wrap(randomBytes(32), context, testCall());
      const call = testCall();
      const reason = new Error('aborted before');
      call.abort(reason);
      await assert.rejects(provider.wrap(randomBytes(32), context, call), reason);
      await assert.rejects(provider.unwrap(provider.keyId, wrapped, context, call), reason);
    });
  });
}

async function assertUnwraps(wrapper: KeyWrapper, keyId: string, wrapped: Uint8Array, dataKey: Buffer): Promise<void> {
  assert.deepEqual(Buffer.from(await wrapper.unwrap(keyId, wrapped, context, testCall())), dataKey);
}

async function assertRefuses(wrapper: KeyWrapper, wrapped: Uint8Array, bound: Uint8Array): Promise<void> {
  const error: unknown = await wrapper.unwrap(wrapper.keyId, wrapped, bound, testCall()).then(
    () => undefined,
    (caught: unknown) => caught,
  );
  const refused = MnopsError.is(error, 'MNOPS_CORE_KEY_INVALID') || MnopsError.is(error, 'MNOPS_CORE_INTEGRITY');
  assert.ok(refused, `it was not refused: ${inspect(error, { depth: 0 })}`);
}
