import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ContainerOrchestrationManager, local } from '@mnops/orchestration';

const folder = await mkdtemp(join(tmpdir(), 'mnops-run-'));
const program = "require('node:http').createServer((q, r) => r.end('ok')).listen(process.env.PORT, '127.0.0.1')";

// #region folder
const first = new ContainerOrchestrationManager({ provider: local({ folder }) });
await first.start();
await first.deploy({ name: 'web', ports: [{ name: 'http' }], containers: [{ command: ['node', '-e', program] }] });
const before = await first.inspect('web');
await first.stop();

// After a crash or kill -9 running instances are taken over, and a rollout goes on; after a stop they start again.
const second = new ContainerOrchestrationManager({ provider: local({ folder }) });
await second.start();
const after = await second.inspect('web');
assert.equal(after?.address?.port, before?.address?.port);
await second.remove('web'); // forgets the service and ends whatever is left of it
await second.stop();
// #endregion

await rm(folder, { recursive: true });
