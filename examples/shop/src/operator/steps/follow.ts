import type { Trace } from '@mnops/apm';
import type { TracedWork } from '../../report/report-data.js';
import { ask } from '../client.js';
import { observedTrace, pathTo, serviceOf, showTree, spanRows } from '../observed-trace.js';
import { credentialPath, type Shop } from '../shop.js';
import type { StepContext } from '../step.js';
import { until } from '../wait.js';

const services = ['gateway', 'catalog', 'orders'];

/** Places one order and follows it from the client to the line in the log, with what the packages did for it. */
export async function followOrder(shop: Shop, { expect, say }: StepContext): Promise<TracedWork | undefined> {
  const { traceId, answer } = await shop.apm.trace('place one order', async (span) => ({
    traceId: span.spanContext().traceId,
    answer: await ask(shop, 'POST', '/orders', { sku: 'sku-7', quantity: 2 }),
  }));
  const order = (answer.body as { id?: unknown }).id;
  expect('the order was taken', answer.status === 201, `${answer.status}, ${String(order)}`);
  const trace = await observedTrace(shop, traceId, services);
  if (trace === undefined) {
    expect('it left a trace', false, 'none');
    return undefined;
  }
  showTree(trace, say);
  expectWay(trace, expect);
  const line = async () => (await shop.logs.search({ traceId, where: { service: 'orders' } })).entries[0];
  await until(async () => (await line()) !== undefined, 10_000, 100);
  const entry = await line();
  const writer = trace.spans.find(({ spanId }) => spanId === entry?.spanId);
  expect(
    'the line in the log leads to the span that wrote it',
    entry?.attributes['order'] === order && writer !== undefined && serviceOf(writer) === 'orders',
    entry === undefined ? 'no line' : `${entry.message}, in ${writer?.name ?? 'no span'} of ${entry.traceId}`,
  );
  const credential = await shop.secrets.getOrThrow(credentialPath);
  const everything = JSON.stringify(trace, (_key, value: unknown) => (typeof value === 'bigint' ? `${value}` : value));
  expect('no span holds the credential', !everything.includes(credential.reveal()), `${trace.spans.length} spans`);
  return { title: 'One order', traceId, spans: spanRows(trace) };
}

/** One way down: the client's span, then each service below the one before, and in the catalog the read of its secret. */
function expectWay(trace: Trace, expect: StepContext['expect']): void {
  const served = trace.spans.find((span) => span.kind === 'server' && serviceOf(span) === 'orders');
  const way = served === undefined ? [] : pathTo(trace, served);
  expect(
    'one trace leads through all services',
    way.map((span) => `${serviceOf(span)} ${span.kind}`).join(', ') ===
      'operator internal, operator client, gateway server, gateway client, catalog server, catalog client, orders server',
    way.length === 0 ? trace.services.join(', ') : [...new Set(way.map(serviceOf))].join(' → '),
  );
  const read = trace.spans.find((span) => span.name === 'secrets read' && serviceOf(span) === 'catalog');
  const reader = read === undefined ? undefined : pathTo(trace, read).at(-2);
  expect(
    'the secret that the catalog read for it is in the trace',
    reader?.kind === 'server' && reader.name === 'POST /orders',
    read === undefined
      ? 'no such span'
      : `${String(read.attributes['mnops.path'])} for ${reader?.name ?? 'nobody'}, ${(Number(read.durationNano) / 1e6).toFixed(2)} ms`,
  );
}

/** What each package must have left in the trace of a recovery, as spans of the operator or of a service. */
const expected: Readonly<Record<string, RegExp>> = {
  dr: /^dr recover$/,
  orchestration: /^orchestration scale$/,
  monitoring: /^monitoring notify$/,
  logging: /^logging append$/,
  secrets: /^secrets read$/,
};

/** Judges the trace of a recovery: one tree from the decision of the operator to the first order that was taken again. */
export async function expectOneTrace(
  shop: Shop,
  traceId: string,
  { expect, say }: Pick<StepContext, 'expect' | 'say'>,
): Promise<TracedWork | undefined> {
  const trace = await observedTrace(shop, traceId, services);
  if (trace === undefined) {
    expect('the recovery left a trace', false, 'none');
    return undefined;
  }
  showTree(trace, say);
  const found = Object.keys(expected).filter((name) => trace.spans.some((span) => expected[name]?.test(span.name)));
  expect(
    'one trace shows every package at work',
    trace.complete && found.length === Object.keys(expected).length,
    `${found.join(', ')} in ${trace.spans.length} spans`,
  );
  const restore = trace.spans.find(({ name }) => name === 'dr restore');
  const { 'mnops.files': files, 'mnops.bytes': bytes } = restore?.attributes ?? {};
  expect(
    'the restore in it says what came back',
    restore !== undefined && pathTo(trace, restore).some(({ name }) => name === 'dr recover') && Number(files) > 0,
    restore === undefined
      ? 'no such span'
      : `${String(files)} files, ${String(bytes)} bytes in ${(Number(restore.durationNano) / 1e6).toFixed(0)} ms`,
  );
  const order = trace.spans.find(
    (span) =>
      serviceOf(span) === 'orders' &&
      span.name === 'POST /orders' &&
      span.attributes['http.response.status_code'] === 201,
  );
  const way = order === undefined ? [] : pathTo(trace, order);
  expect(
    'it ends with the first order that was taken again',
    way.some(({ name }) => name === 'dr recover') && services.every((name) => way.map(serviceOf).includes(name)),
    way.length === 0 ? 'no order' : `${way[0]?.name}: dr recover → ${[...new Set(way.map(serviceOf))].join(' → ')}`,
  );
  return { title: 'The recovery, down to the first order', traceId, spans: spanRows(trace) };
}
