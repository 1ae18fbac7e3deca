import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import * as esmCore from '@mnops/core';
import * as esmConfig from '@mnops/core/config';
import * as esmLifecycle from '@mnops/core/lifecycle';

const require = createRequire(import.meta.url);
const cjsCore = require('@mnops/core');
const cjsConfig = require('@mnops/core/config');
const cjsLifecycle = require('@mnops/core/lifecycle');

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
console.log('two copies understand each other');
