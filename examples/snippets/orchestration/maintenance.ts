import assert from 'node:assert/strict';
import { ContainerOrchestrationManager } from '@mnops/orchestration';

const orchestration = new ContainerOrchestrationManager();
await orchestration.start();
const program = "require('node:http').createServer((q, r) => r.end('ok')).listen(process.env.PORT, '127.0.0.1')";
await orchestration.deploy({
  name: 'orders',
  ports: [{ name: 'http' }],
  containers: [{ command: ['node', '-e', program] }],
});
const url = (await orchestration.inspect('orders'))?.address?.url ?? '';

// #region maintenance
await orchestration.scale('orders', 0, { hold: true }); // stopped; requests wait, up to 30 s
const waiting = fetch(url);
await orchestration.scale('orders', 1); // the same address

assert.equal((await waiting).status, 200);
const call = { signal: AbortSignal.timeout(1_000), remainingMs: () => 1_000, secret: async () => '' };
const { status } = await orchestration.serviceHealth('orders').check(call); // a HealthSource for a recovery plan
assert.equal(status, 'healthy');
// #endregion

await orchestration.stop();
