// #region release
import assert from 'node:assert/strict';
import { MonitoringStackManager } from '@mnops/monitoring';
import { ContainerOrchestrationManager, canary, local, type ServiceConfig } from '@mnops/orchestration';

const orchestration = new ContainerOrchestrationManager({ app: 'shop', provider: local() });
const monitoring = new MonitoringStackManager({
  service: 'operator',
  metricSources: { proxy: orchestration.metricSource }, // rules may ask the proxy
});
const greeter = (version: string, words: string): ServiceConfig => ({
  name: 'greeter',
  version,
  ports: [{ name: 'http' }],
  containers: [
    {
      command: [process.execPath, '-e', program],
      environment: { WORDS: words },
      probes: { readiness: { http: { path: '/' } } },
    },
  ],
});
// #endregion

const program = `require('node:http').createServer((_, answer) => answer.end(process.env.WORDS)).listen(process.env.PORT, process.env.HOST);`;

// #region release-run
await orchestration.start();
await monitoring.start();
await orchestration.deploy(greeter('1.0.0', 'hello'));
const released = await orchestration.deploy(greeter('1.1.0', 'good day'), {
  strategy: canary({ weights: [25], everyMs: 200 }),
});
const url = (await orchestration.inspect('greeter'))?.address?.url ?? '';
const answer = await (await fetch(url)).text();
// #endregion

assert.equal(released.state, 'succeeded');
assert.equal(answer, 'good day');
await monitoring.stop();
await orchestration.stop();
