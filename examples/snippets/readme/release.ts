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

let stopped = false;
let visitors: Promise<void> | undefined;
const visit = async (): Promise<void> => {
  while (!stopped) {
    const { address } = (await orchestration.inspect('greeter')) ?? {};
    if (address === undefined) await new Promise((resolve) => setImmediate(resolve));
    else await fetch(address.url).then((greeting) => greeting.text());
  }
};
orchestration.on('rollout:ended', ({ result }) => {
  if (result.services[0]?.fromRevision === undefined) visitors = visit();
});

// #region release-run
await orchestration.start();
await monitoring.start();
await orchestration.deploy(greeter('1.0.0', 'hello'));
const released = await orchestration.deploy(greeter('1.1.0', 'good day'), {
  strategy: canary({ weights: [25], everyMs: 2_000 }), // judged by the answers to your visitors
});
const url = (await orchestration.inspect('greeter'))?.address?.url ?? '';
const answer = await (await fetch(url)).text();
// #endregion

stopped = true;
await visitors;
assert.equal(released.state, 'succeeded');
assert.equal(answer, 'good day');
await monitoring.stop();
await orchestration.stop();
