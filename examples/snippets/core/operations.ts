import assert from 'node:assert/strict';

// #region operations
import { onOperation, operationCatalogue, traced } from '@mnops/core/operations';

const seen: string[] = [];
const end = onOperation(({ package: name, operation, phase, context }) => {
  seen.push(`${name} ${operation} ${phase} ${context['provider']}`);
});

// What hosts do for each of their operations. The result never stands in an event.
const value = await traced('mnops:secrets:read', { provider: 'vault-file' }, async (context) => {
  context['cached'] = true;
  return 'hunter2';
});
end();

assert.equal(value, 'hunter2');
assert.deepEqual(seen, ['secrets read start vault-file', 'secrets read end vault-file']);
assert.deepEqual(operationCatalogue['mnops:secrets:read'].labelFields, ['provider', 'cached', 'outcome']);
// #endregion
