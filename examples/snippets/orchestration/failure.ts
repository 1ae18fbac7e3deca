import assert from 'node:assert/strict';
import { MnopsError } from '@mnops/core';
import { ContainerOrchestrationManager, type OrchestrationResult } from '@mnops/orchestration';

const orchestration = new ContainerOrchestrationManager();
await orchestration.start();

// #region failure
const program = "console.error('DATABASE_URL is not set'); process.exit(3)";
const failed = await orchestration
  .deploy({ name: 'orders', containers: [{ command: ['node', '-e', program] }] })
  .catch((error: unknown) => error);

assert.ok(MnopsError.is(failed, 'MNOPS_ORCHESTRATION_NOT_READY')); // within a second, not at a deadline
const result = failed.details?.['result'] as OrchestrationResult;
const [reason] = result.reasons;
assert.deepEqual([reason?.code, reason?.exitCode, reason?.restarts], ['crash-loop:exited', 3, 2]);
assert.equal(reason?.lastLogLines.at(-1), 'DATABASE_URL is not set');
// #endregion

await orchestration.stop();
