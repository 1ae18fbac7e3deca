import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import * as esmCore from '@mnops/core';
import * as esmConfig from '@mnops/core/config';
import * as esmLifecycle from '@mnops/core/lifecycle';
import * as esmStores from '@mnops/core/object-store';
import * as esmSecrets from '@mnops/secrets';

const require = createRequire(import.meta.url);
const cjsCore = require('@mnops/core');
const cjsConfig = require('@mnops/core/config');
const cjsLifecycle = require('@mnops/core/lifecycle');
const cjsStores = require('@mnops/core/object-store');
const cjsSecrets = require('@mnops/secrets');

assert.notEqual(esmCore.MnopsError, cjsCore.MnopsError, 'these are two copies');

function errorOf(run) {
  try {
    run();
  } catch (error) {
    return error;
  }
  return assert.fail('nothing was thrown');
}

for (const { configError } of [esmConfig, cjsConfig]) {
  const issue = { field: 'port', expected: 'number', received: 'string', remedy: 'Give a number.' };
  const error = errorOf(() => {
    throw configError('shop', [issue]);
  });
  for (const { MnopsError, codeOf } of [esmCore, cjsCore]) {
    assert.ok(MnopsError.is(error), 'an error of any copy is recognised by any copy');
    assert.ok(MnopsError.is(error, 'MNOPS_CORE_CONFIG_INVALID'));
    assert.equal(codeOf(error), 'MNOPS_CORE_CONFIG_INVALID');
    assert.equal(error.name, 'MnopsError');
  }
  assert.deepEqual(error.details.issues, [issue]);
}

// What must be one per process is one, whichever copy asks.
assert.equal(esmLifecycle.processHooks(), cjsLifecycle.processHooks());
// A host of one copy works with a provider of the other, and its resolver with a call of the other.
for (const [host, other, otherCore] of [
  [esmSecrets, cjsSecrets, cjsCore],
  [cjsSecrets, esmSecrets, esmCore],
]) {
  const manager = new host.SecretsManager({ provider: other.memory() });
  await manager.start();
  await manager.put('db/password', 'correct horse');
  assert.equal((await manager.get('db/password')).reveal(), 'correct horse');
  const call = otherCore.callOf({ secrets: manager.resolver({ actor: 'shop' }), timeoutMs: 5_000 });
  assert.equal(await otherCore.credential('secret://db/password', call), 'correct horse');
  call.end();
  await manager.stop();
  const refused = await manager.get('db/password').catch((error) => error);
  assert.ok(otherCore.MnopsError.is(refused, 'MNOPS_CORE_CLOSED'));
}

for (const [wrapper, stores, core] of [
  [esmStores, cjsStores, cjsCore],
  [cjsStores, esmStores, esmCore],
]) {
  const store = wrapper.retrying(stores.memoryStore());
  const call = core.callOf({ timeoutMs: 5_000 });
  await store.put('a', Buffer.from('b'), call);
  assert.equal((await store.head('a', call)).size, 1);
  call.end();
}
console.log('two copies understand each other');
