import type { Span, Trace } from '@mnops/apm';
import { traceTree } from '@mnops/apm/terminal';
import { credentialPath, type Shop } from '../shop.js';
import type { StepContext } from '../step.js';
import { until } from '../wait.js';

/** Services that the order passes. */
const onTheWay = ['operator', 'gateway', 'catalog', 'orders'];
/** Packages whose work belongs to the order here. */
const packages = ['secrets', 'logging', 'orchestration', 'dr'];

/**
 * Places one order as the operator, lets every package do its part for it, and reads all of that from a single trace: the
 * way through three services, and what the packages did in the operator's own process.
 */
export async function followOrder(shop: Shop, { expect, say }: StepContext): Promise<void> {
  const gateway = await shop.url('gateway');
  const fromMs = Date.now();
  const { traceId, status } = await shop.apm.trace('one order', async (span) => {
    await shop.secrets.getOrThrow(credentialPath, { maxAgeMs: 0 });
    await shop.orchestration.scale('gateway', 2);
    const answer = await placeOrder(shop, gateway);
    await shop.logs.flush();
    await shop.logs.search({ from: new Date(fromMs), limit: 10 });
    await shop.recovery.backup({ tags: ['order'] });
    return { traceId: span.spanContext().traceId, status: answer };
  });
  expect('the order was taken', status === 201, `status ${status}`);
  // Each service sends its spans when it has some together.
  const whole = async (): Promise<boolean> => {
    const there = servicesOf(await shop.apm.getTrace(traceId));
    return onTheWay.every((name) => there.includes(name));
  };
  await until(whole, 10_000, 100);
  const trace = await shop.apm.getTrace(traceId);
  const services = servicesOf(trace);
  expect(
    'its trace goes through all services',
    onTheWay.every((name) => services.includes(name)),
    services.join(', '),
  );
  const seen = packages.filter((name) => trace?.spans.some((span) => isWorkOf(span, name)));
  expect('and shows what each package did for it', seen.length === packages.length, seen.join(', '));
  if (trace !== undefined) for (const line of traceTree(trace, { maxSpans: 30 }).split('\n')) say(line);
}

/** Spans of operations are named `package operation`. */
function isWorkOf({ name, resource }: Span, packageName: string): boolean {
  return resource['service.name'] === 'operator' && name.startsWith(`${packageName} `);
}

function servicesOf(trace: Trace | undefined): readonly string[] {
  return trace?.services ?? [];
}

async function placeOrder({ apm }: Shop, gateway: string): Promise<number> {
  const options = { kind: 'client', attributes: { 'peer.service': 'gateway' } } as const;
  return await apm.trace('POST gateway', options, async () => {
    const headers: Record<string, string> = { 'content-type': 'application/json' };
    apm.inject(headers);
    const body = JSON.stringify({ sku: 'sku-1', quantity: 1 });
    const response = await fetch(`${gateway}/orders`, { method: 'POST', headers, body });
    await response.arrayBuffer();
    return response.status;
  });
}
