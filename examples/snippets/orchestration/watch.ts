import assert from 'node:assert/strict';
import { callOf } from '@mnops/core';
import { ContainerOrchestrationManager } from '@mnops/orchestration';

const orchestration = new ContainerOrchestrationManager({ actor: 'release-bot' });
await orchestration.start();
const program = `console.log('listening');
  require('node:http').createServer((q, r) => r.end('ok')).listen(process.env.PORT, '127.0.0.1')`;
const web = { name: 'web', ports: [{ name: 'http' }], containers: [{ command: ['node', '-e', program] }] };

// #region watch
const plan = await orchestration.plan(web); // changes nothing
assert.equal(plan.services[0]?.action, 'create');

orchestration.on('rollout:ended', ({ service, result }) =>
  assert.deepEqual([service, result.state], ['web', 'succeeded']),
);
await orchestration.deploy(web);
await fetch((await orchestration.inspect('web'))?.address?.url ?? '');

const call = callOf({ timeoutMs: 5_000 });
const requests = { metric: 'http_server_request_duration_seconds', reduce: 'count', windowMs: 60_000 } as const;
const [sample] = await orchestration.metricSource.query({ ...requests, by: ['service', 'status_class'] }, call);
assert.deepEqual(sample?.labels, { service: 'web', status_class: '2xx' });

for await (const { identity, frames } of orchestration.logSource?.read({}, call) ?? []) {
  assert.deepEqual([identity?.name, String(frames[0]?.bytes)], ['web', 'listening']);
  break;
}
for await (const { actor, operation, target } of orchestration.audit?.query() ?? []) {
  assert.deepEqual([actor, operation, target], ['release-bot', 'deploy', 'web']);
}
// #endregion

call.end();
await orchestration.stop();
