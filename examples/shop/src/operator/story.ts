import type { ReportData, TracedWork } from '../report/report-data.js';
import { Observer } from './observer.js';
import type { Shop } from './shop.js';
import type { StepRunner } from './step.js';
import { deploy, sendLoad } from './steps/deploy.js';
import { expectSilence, followRequest, nameTheCause } from './steps/diagnose.js';
import { followOrder } from './steps/follow.js';
import { backUp, destroyAndRecover, drill } from './steps/recover.js';
import { release, watchAlert } from './steps/release.js';
import { rotate } from './steps/rotate.js';

/** What the report needs beside the steps. */
export type StoryFacts = Pick<
  ReportData,
  'marks' | 'alerts' | 'traces' | 'rootCause' | 'weights' | 'recoveries' | 'map'
>;

/** Tells the whole story. Each step judges what was observed; nothing here decides how it ends. */
export async function tellStory(shop: Shop, steps: StepRunner, variant: 'faulty' | 'healthy'): Promise<StoryFacts> {
  const observer = new Observer(shop);
  const traces: (TracedWork | undefined)[] = [];
  let rootCause: ReportData['rootCause'];
  await steps.run('Deploy three services behind the proxy', (step) => deploy(shop, step));
  await steps.run('Send load', (step) => sendLoad(shop, step));
  traces.push(await steps.run('Follow one order to its line in the log', (step) => followOrder(shop, step)));
  await steps.run('Rotate the credential under load', (step) => rotate(shop, observer, step));
  if (variant === 'faulty') {
    const bad = await steps.run('Release a bad catalog as a canary', (step) => release(shop, observer, 'faulty', step));
    await steps.run('Be told, and told that it is over', (step) => watchAlert(shop, observer, bad, step));
    rootCause = await steps.run('Name the cause', (step) => nameTheCause(shop, observer, bad, step));
    traces.push(await steps.run('Follow one failing request', (step) => followRequest(shop, bad, step)));
  } else {
    const good = await steps.run('Release a good catalog as a canary', (step) => release(shop, observer, 'good', step));
    await steps.run('Hear nothing', (step) => expectSilence(shop, observer, good, step));
  }
  const backup = await steps.run('Back up orders, vault and logs', (step) => backUp(shop, observer, step));
  const rehearsed = await steps.run('Drill the recovery', (step) => drill(shop, observer, step));
  const map = mapOf(shop);
  const recovered = await steps.run('Destroy the orders data and recover', (step) =>
    destroyAndRecover(shop, observer, backup, step),
  );
  traces.push(recovered.trace);
  await shop.load.stop();
  return {
    marks: observer.marks,
    alerts: observer.alerts().filter(({ firedMs }) => firedMs !== undefined),
    traces: traces.filter((trace) => trace !== undefined),
    rootCause,
    weights: observer.weights,
    recoveries: [rehearsed, recovered.figures],
    map,
  };
}

function mapOf({ apm }: Shop): ReportData['map'] {
  const map = apm.serviceMap();
  return {
    nodes: map.services
      .filter(({ virtual }) => !virtual)
      .map(({ service, calls, errors }) => ({ name: service, calls, errors })),
    edges: map.dependencies
      .filter(({ virtual }) => !virtual)
      .map(({ client, server, calls, errors, durationMs }) => ({
        from: client,
        to: server,
        calls,
        errors,
        p95Ms: durationMs.client?.p95,
      })),
  };
}
