import { catalogService, gatewayService, ordersService } from '../services.js';
import type { Shop } from '../shop.js';
import type { StepContext } from '../step.js';
import { pause } from '../wait.js';

/** Requests per second that the load sends, and how many it lets be under way: a machine that has less to give gets less. */
const rate = 220;
const maxInFlight = 32;
const steadyMs = 9_000;

/** Deploys the three services, each after those it needs. */
export async function deploy(shop: Shop, { expect, say }: StepContext): Promise<void> {
  const { orchestration, setting } = shop;
  orchestration.on('instance:became-ready', ({ instance }) => say(`${instance} is ready`));
  const result = await orchestration.deploy([ordersService(setting), catalogService(setting), gatewayService(setting)]);
  let ready = 0;
  for (const name of ['orders', 'catalog', 'gateway']) {
    await shop.url(name);
    ready += (await orchestration.inspect(name))?.ready ?? 0;
  }
  const health = await orchestration.health();
  expect(
    'all five instances are ready behind the proxy',
    ready === 5 && health.status === 'healthy',
    `${ready} after ${(result.durationMs / 1_000).toFixed(1)} s`,
  );
}

/** Sends load until the figures of normal operation are known. */
export async function sendLoad(shop: Shop, { expect, say }: StepContext): Promise<void> {
  await shop.load.start({ url: await shop.url('gateway'), rate, orderShare: 0.1, maxInFlight });
  say(`${rate} requests a second, one in ten an order; first what is normal is learned`);
  await pause(2_000);
  const fromMs = Date.now();
  await pause(steadyMs);
  const { ok, orders, serverErrors, dropped, heldBack, ratePerSecond, p50Ms, p99Ms } = shop.load.summary(fromMs);
  if (heldBack > 0) say(`this machine is busy: ${heldBack} more were due and not sent`);
  expect(
    'every request is answered',
    ok > 0 && orders > 0 && serverErrors + dropped === 0,
    `${ok} at ${ratePerSecond.toFixed(0)}/s, ${serverErrors + dropped} failed; p50 ${p50Ms.toFixed(0)} ms, p99 ${p99Ms.toFixed(0)} ms`,
  );
  const map = shop.apm.serviceMap();
  const edges = map.dependencies
    .filter(({ virtual }) => !virtual)
    .map(({ client, server }) => `${client} → ${server}`)
    .sort()
    .reverse();
  expect(
    'the traces show who calls whom',
    edges.includes('gateway → catalog') && edges.includes('catalog → orders'),
    edges.join(', '),
  );
}
