import assert from 'node:assert/strict';
import { ContainerOrchestrationManager } from '@mnops/orchestration';

const orchestration = new ContainerOrchestrationManager();
await orchestration.start();
const back = "require('node:http').createServer((q, r) => r.end('stock: 3')).listen(process.env.PORT, '127.0.0.1')";
const front = `require('node:http').createServer(async (q, r) => r.end(await (await fetch(process.env.CATALOG)).text()))
  .listen(process.env.PORT, '127.0.0.1')`;

// #region services
await orchestration.deploy([
  {
    name: 'shop',
    ports: [{ name: 'http' }],
    dependsOn: { catalog: 'ready' }, // deployed first
    // The proxy's address of the other service; `secret://path#key` is read from `secrets` at each start.
    containers: [{ command: ['node', '-e', front], environment: { CATALOG: '${service:catalog.url}/stock' } }],
  },
  { name: 'catalog', replicas: 2, ports: [{ name: 'http' }], containers: [{ command: ['node', '-e', back] }] },
]);
// #endregion

const url = (await orchestration.inspect('shop'))?.address?.url ?? '';
assert.equal(await (await fetch(url)).text(), 'stock: 3');
assert.equal((await orchestration.health()).status, 'healthy');
await orchestration.stop();
