// #region deploy
import assert from 'node:assert/strict';
import { ContainerOrchestrationManager, type ServiceConfig } from '@mnops/orchestration';

const program = `
  const { PORT, MNOPS_VERSION } = process.env;
  require('node:http').createServer((request, response) => response.end(MNOPS_VERSION)).listen(PORT, '127.0.0.1');
`;
const checkout: ServiceConfig = {
  name: 'checkout',
  version: '1.4.0',
  replicas: 2,
  ports: [{ name: 'http' }],
  containers: [{ command: ['node', '-e', program], probes: { readiness: { http: { path: '/' } } } }],
};

const orchestration = new ContainerOrchestrationManager();
await orchestration.start();
await orchestration.deploy(checkout);

const { address, ready } = (await orchestration.inspect('checkout')) ?? {};
const answer = await fetch(address?.url ?? '');
assert.deepEqual([ready, await answer.text()], [2, '1.4.0']);

await orchestration.deploy({ ...checkout, version: '1.5.0' }); // instance by instance, no request dropped
await orchestration.scale('checkout', 3);
await orchestration.rollback('checkout');
await orchestration.stop();
// #endregion
