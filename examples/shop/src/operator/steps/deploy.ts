import { catalogService, gatewayService, ordersService } from '../services.js';
import type { Shop } from '../shop.js';
import type { StepContext } from '../step.js';
import { pause } from '../wait.js';

/** Requests per second that the load sends. */
const rate = 220;
const steadyMs = 9_000;

/** Deploys the three services, each after those it needs. */
export async function deploy(shop: Shop, { expect, say }: StepContext): Promise<void> {
  const { orchestration, setting } = shop;
  orchestration.on('instance:became-ready', ({ instance }) => say(`${instance} is ready`));
  const result = await orchestration.deploy([ordersService(setting), catalogService(setting), gatewayService(setting)]);
  for (const name of ['orders', 'catalog', 'gateway']) await shop.url(name);
  const health = await orchestration.health();
  expect(
    'all five instances are ready behind the proxy',
    health.status === 'healthy',
    `${result.durationMs.toFixed(0)} ms`,
  );
}

/** Sends load until the figures of normal operation are known. */
export async function sendLoad(shop: Shop, { expect }: StepContext): Promise<void> {
  await shop.load.start({ url: await shop.url('gateway'), rate, orderShare: 0.1 });
  await pause(2_000);
  const fromMs = Date.now();
  await pause(steadyMs);
  const { ratePerSecond, serverErrors, dropped, p50Ms, p99Ms } = shop.load.summary(fromMs);
  expect('at least 150 requests per second are answered', ratePerSecond >= 150, `${ratePerSecond.toFixed(0)}/s`);
  expect('none fails', serverErrors + dropped === 0, `${serverErrors} errors, ${dropped} dropped`);
  expect('latency is measured', p99Ms > 0, `p50 ${p50Ms.toFixed(0)} ms, p99 ${p99Ms.toFixed(0)} ms`);
  const map = shop.apm.serviceMap();
  const edges = map.dependencies.filter(({ virtual }) => !virtual).map(({ client, server }) => `${client} → ${server}`);
  expect(
    'the traces show who calls whom',
    edges.includes('gateway → catalog') && edges.includes('catalog → orders'),
    edges.join(', '),
  );
}
