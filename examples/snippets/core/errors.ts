import assert from 'node:assert/strict';

// #region errors
import { codeOf, MnopsError } from '@mnops/core';
import { parseOptions } from '@mnops/core/config';
import { strictObject, string } from 'valibot';

const options = strictObject({ url: string() });

try {
  parseOptions('belfry', options, { ulr: 'https://belfry.test' });
} catch (error) {
  // An application may hold the ESM and the CJS copy of a package: ask for the code, not for the class.
  assert.ok(MnopsError.is(error, 'MNOPS_CORE_CONFIG_INVALID'));
  assert.equal(error.retryable, false);
  assert.deepEqual(error.details?.['issues'], [
    { field: 'url', expected: 'string', received: 'nothing', remedy: 'Set `url` to string.' },
    {
      field: 'ulr',
      expected: 'no such option',
      received: 'an unknown name',
      remedy: 'Remove it. Did you mean `url`?',
    },
  ]);
}
assert.equal(codeOf(Object.assign(new Error('gone'), { code: 'ENOENT' })), 'ENOENT');
// #endregion
