import assert from 'node:assert/strict';
import type { Span, SpanBatch, TraceExporter } from '../spi/apm.js';
import { type ContractRunner, type ContractSubject, casesOf, failure, identityCases } from './contract.js';
import { testCall } from './test-call.js';

/** A trace exporter under test. */
export interface TraceExporterSubject extends ContractSubject<TraceExporter> {
  /** Span ids of everything that reached the back end so far; without it, arrival is not checked. */
  received?(): readonly string[] | Promise<readonly string[]>;
  /** Makes the back end take only a part of the next batch, where its protocol can say so. */
  rejectNext?(spans: number): void;
}

type Test = (name: string, body: (subject: TraceExporterSubject) => Promise<void>) => void;

/**
 * Holds a `TraceExporter` to its interface: spans of every kind arrive, one call is one request, what the back end says
 * becomes the right answer or error, and no failure shows a secret.
 */
export function traceExporterContract(
  runner: ContractRunner,
  name: string,
  create: () => Promise<TraceExporterSubject>,
): void {
  runner.describe(`trace exporter contract: ${name}`, () => {
    const test = casesOf(runner, create);
    identityCases<TraceExporter>(test, 'trace-exporter');
    deliveryCases(test);
    refusalCases(test);
    brokenBackEndCases(test);
  });
}

function deliveryCases(test: Test): void {
  test('declares what one request can carry', async ({ provider: { capabilities } }) => {
    assert.ok(capabilities.maxRequestBytes > 0, 'maxRequestBytes is above 0');
    assert.ok(capabilities.maxSpansPerRequest > 0, 'maxSpansPerRequest is above 0');
    assert.ok(['remote', 'local'].includes(capabilities.delivers));
  });

  test('delivers a batch in one request and says how many spans were taken', async ({ provider, received, faults }) => {
    const answer = await provider.export(batch(5), testCall());
    assert.deepEqual([answer.accepted, answer.rejected], [5, 0]);
    const ids = await received?.();
    if (ids !== undefined) assert.deepEqual([...ids].sort(), idsOf(5));
    if (faults !== undefined) assert.equal(faults.requests.length, 1);
  });

  test('takes an empty batch', async ({ provider }) => {
    const answer = await provider.export({ groups: [], spanCount: 0 }, testCall());
    assert.deepEqual([answer.accepted, answer.rejected], [0, 0]);
  });

  test('takes spans of every shape', async ({ provider, received }) => {
    const spans = awkwardSpans();
    const answer = await provider.export(grouped(spans), testCall());
    assert.equal(answer.accepted + answer.rejected, spans.length);
    const ids = await received?.();
    if (ids !== undefined && answer.rejected === 0) assert.equal(new Set(ids).size, spans.length);
  });

  test('changes nothing in what it is given', async ({ provider }) => {
    const given = batch(3);
    const before = structuredClone(given);
    await provider.export(given, testCall());
    assert.deepEqual(given, before);
  });

  test('delivers batches at the same time', async ({ provider }) => {
    const answers = await Promise.all([1, 2, 3].map((count) => provider.export(batch(count), testCall())));
    assert.deepEqual(
      answers.map(({ accepted }) => accepted),
      [1, 2, 3],
    );
  });

  test('says how many spans the back end refused', async ({ provider, rejectNext }) => {
    assert.equal(rejectNext !== undefined, provider.capabilities.partialSuccess, 'partialSuccess is as declared');
    if (rejectNext === undefined) return;
    rejectNext(2);
    const answer = await provider.export(batch(5), testCall());
    assert.deepEqual([answer.accepted, answer.rejected], [3, 2]);
    rejectNext(50);
    const overstated = await provider.export(batch(5), testCall());
    assert.deepEqual([overstated.accepted, overstated.rejected], [0, 5], 'never more than were sent');
  });
}

const refusals = [
  [401, 'MNOPS_CORE_UNAUTHENTICATED', false],
  [403, 'MNOPS_CORE_ACCESS_DENIED', false],
  [413, 'MNOPS_CORE_TOO_LARGE', false],
  [429, 'MNOPS_CORE_THROTTLED', true],
  [503, 'MNOPS_CORE_UNAVAILABLE', true],
] as const;

function refusalCases(test: Test): void {
  for (const [status, code, retryable] of refusals) {
    test(`an answer ${status} is ${code}`, async (subject) => {
      const { faults, provider } = subject;
      if (faults === undefined) return;
      const headers: Record<string, string> = retryable ? { 'retry-after': '2' } : {};
      faults.next({ status, headers, body: {} });
      const error = await failure(subject, (call) => provider.export(batch(2), call));
      assert.equal(error.code, code);
      assert.equal(error.retryable, retryable);
      if (retryable) assert.equal(error.retryAfterMs, 2_000);
      assert.equal(faults.requests.length, 1, 'one call is one request: the host repeats, not the exporter');
    });
  }

  test('an answer 400 is for good, so the batch is not sent again', async (subject) => {
    if (subject.faults === undefined) return;
    subject.faults.next({ status: 400, body: { message: 'no spans' } });
    const error = await failure(subject, (call) => subject.provider.export(batch(2), call));
    assert.equal(error.retryable, false);
    assert.equal(subject.faults.requests.length, 1);
  });

  for (const status of [500, 307] as const) {
    test(`an answer ${status} is a failure, and is neither repeated nor followed`, async (subject) => {
      if (subject.faults === undefined) return;
      subject.faults.next({ status, headers: { location: '/elsewhere' }, body: {} });
      await failure(subject, (call) => subject.provider.export(batch(2), call));
      assert.equal(subject.faults.requests.length, 1);
    });
  }
}

function brokenBackEndCases(test: Test): void {
  test('a connection that breaks is MNOPS_CORE_UNAVAILABLE and may be tried again', async (subject) => {
    if (subject.faults === undefined) return;
    subject.faults.next('reset');
    const error = await failure(subject, (call) => subject.provider.export(batch(2), call));
    assert.deepEqual([error.code, error.retryable], ['MNOPS_CORE_UNAVAILABLE', true]);
    assert.equal(subject.faults.requests.length, 1);
  });

  test('a body that is not what the protocol says is MNOPS_CORE_RESPONSE_INVALID', async (subject) => {
    if (subject.faults === undefined || !subject.provider.capabilities.partialSuccess) return;
    for (const body of ['{"cut', '<html>a proxy speaks</html>']) {
      subject.faults.next({ status: 200, headers: { 'content-type': 'application/json' }, body });
      const error = await failure(subject, (call) => subject.provider.export(batch(2), call));
      assert.equal(error.code, 'MNOPS_CORE_RESPONSE_INVALID');
    }
  });

  // TOO_LARGE would be taken for a request that is to be sent again in parts.
  test('an endless answer is MNOPS_CORE_RESPONSE_INVALID', async (subject) => {
    if (subject.faults === undefined) return;
    subject.faults.next('oversized');
    const error = await failure(subject, (call) => subject.provider.export(batch(1), call));
    assert.equal(error.code, 'MNOPS_CORE_RESPONSE_INVALID');
  });

  test('an abort ends it at once with its reason', async (subject) => {
    if (subject.faults === undefined) return;
    subject.faults.next('hang');
    const call = testCall();
    const running = subject.provider.export(batch(2), call).catch((error: unknown) => error);
    while (subject.faults.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    const reason = new Error('aborted meanwhile');
    call.abort(reason);
    assert.equal(await running, reason);
  });

  test('a call that is aborted already sends nothing', async (subject) => {
    if (subject.faults === undefined) return;
    const reason = new Error('aborted before');
    const call = testCall({ signal: AbortSignal.abort(reason) });
    await assert.rejects(subject.provider.export(batch(2), call), reason);
    assert.equal(subject.faults.requests.length, 0);
  });
}

function idsOf(count: number): string[] {
  return Array.from({ length: count }, (_, index) => (index + 1).toString(16).padStart(16, '0'));
}

function batch(count: number): SpanBatch {
  return grouped(idsOf(count).map((spanId) => spanOf(spanId, {})));
}

function grouped(spans: readonly Span[]): SpanBatch {
  const [first] = spans;
  if (first === undefined) return { groups: [], spanCount: 0 };
  return { groups: [{ resource: first.resource, scope: first.scope, spans }], spanCount: spans.length };
}

function spanOf(spanId: string, more: Partial<Span>): Span {
  return {
    traceId: 'a'.repeat(32),
    spanId,
    traceFlags: 1,
    name: 'GET /items',
    kind: 'server',
    startTimeUnixNano: 1_700_000_000_945_000_001n,
    durationNano: 1_234_567n,
    status: { code: 'unset' },
    attributes: { 'http.request.method': 'GET' },
    events: [],
    links: [],
    dropped: { attributes: 0, events: 0, links: 0 },
    resource: { 'service.name': 'contract' },
    scope: { name: 'contract', version: '1.0.0' },
    ...more,
  };
}

function awkwardSpans(): Span[] {
  const shapes: Partial<Span>[] = [
    { name: '' },
    { name: 'ключ ☂ \ud83d'.repeat(100), kind: 'internal', durationNano: 0n },
    { kind: 'client', parentSpanId: 'b'.repeat(16), parentIsRemote: true, traceState: 'a=1,b=2' },
    { kind: 'producer', status: { code: 'error', message: 'broken "quote"\n' } },
    { kind: 'consumer', status: { code: 'ok' }, dropped: { attributes: 1, events: 2, links: 3 } },
    {
      attributes: {
        text: 'x'.repeat(10_000),
        integer: 9_007_199_254_740_991,
        fraction: 0.1,
        none: Number.NaN,
        endless: Number.POSITIVE_INFINITY,
        yes: true,
        list: ['a', null, 'b'],
        numbers: [1, 2.5],
        '': 'empty key',
        constructor: 'a name of Object',
      },
    },
    {
      events: [{ name: 'exception', timeUnixNano: 1_700_000_000_945_000_002n, attributes: { 'exception.type': 'E' } }],
      links: [{ traceId: 'c'.repeat(32), spanId: 'd'.repeat(16), attributes: { why: 'batch' } }],
    },
  ];
  const ids = idsOf(shapes.length);
  return shapes.map((shape, index) => spanOf(ids[index] ?? '', shape));
}
