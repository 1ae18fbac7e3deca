import assert from 'node:assert/strict';
import { MnopsError } from '@mnops/core';
import {
  ContainerOrchestrationManager,
  canary,
  type OrchestrationResult,
  type ServiceConfig,
} from '@mnops/orchestration';

const program = `
  const fails = Number(process.env.FAIL_SHARE);
  require('node:http').createServer((request, response) => {
    response.statusCode = Math.random() < fails ? 500 : 200;
    response.end();
  }).listen(process.env.PORT, '127.0.0.1');
`;
const release = (version: string, failShare: string): ServiceConfig => ({
  name: 'catalog',
  version,
  replicas: 2,
  ports: [{ name: 'http' }],
  containers: [{ command: ['node', '-e', program], environment: { FAIL_SHARE: failShare } }],
});
const orchestration = new ContainerOrchestrationManager();
await orchestration.start();
await orchestration.deploy(release('1', '0'));
const url = (await orchestration.inspect('catalog'))?.address?.url ?? '';
let stopped = false;
const load = (async () => {
  while (!stopped) await fetch(url).then((answer) => answer.text());
})();

// #region canary
const strategy = canary({
  weights: [25, 50], // percent of the requests, exact over any 100 of them
  everyMs: 1_000,
  maxErrorShareOverStable: 0.02,
  maxP99RatioToStable: 3,
  p99ToleranceMs: 200,
});
const failed = await orchestration.deploy(release('2', '0.5'), { strategy }).catch((error: unknown) => error);

assert.ok(MnopsError.is(failed, 'MNOPS_ORCHESTRATION_ROLLED_BACK'));
const result = failed.details?.['result'] as OrchestrationResult;
assert.equal(result.reasons[0]?.code, 'analysis-failed'); // "error-share is 0.48, of stable 0: more than 0.02 above."
assert.equal((await orchestration.inspect('catalog'))?.version, '1');
// #endregion

stopped = true;
await load;
await orchestration.stop();
