import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Span } from '@mnops/core/spi';
import { type FaultServer, faultServer, testCall, traceExporterContract } from '@mnops/core/testing';
import { dataSuite } from '@mnops/tooling/parts';
import { Ajv, type ValidateFunction } from 'ajv';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { batchOf } from '../../delivery/span-queue.js';
import { spanOf } from '../../testing/spans.js';
import { documentsOf, type IntakeDocument, intakeReply } from './elastic-apm.fake.js';
import { encodeIntake } from './encode.js';
import { elasticApm } from './index.js';

traceExporterContract({ describe, it }, 'elastic-apm', async () => {
  const server = await faultServer();
  const received: string[] = [];
  const refusals: number[] = [];
  server.handler((request) => {
    received.push(
      ...documentsOf(request).flatMap(({ transaction, span }) => String((transaction ?? span)?.['id'] ?? [])),
    );
    return intakeReply(request, refusals.shift());
  });
  return {
    provider: elasticApm({ url: server.url, secretToken: () => 'canary-key-9' }),
    faults: server,
    secrets: ['canary-key-9'],
    received: () => received.filter((id) => id !== ''),
    rejectNext: (spans: number) => refusals.push(spans),
    close: () => server.close(),
  };
});

function encoded(spans: readonly Span[]): IntakeDocument[] {
  const { text, eventCount } = encodeIntake(batchOf(spans));
  const lines = text.trimEnd().split('\n');
  expect(lines).toHaveLength(eventCount + 1);
  return lines.map((line) => JSON.parse(line) as IntakeDocument);
}

const stack =
  'TypeError: no\n    at load (/app/src/load.js:12:5)\n    at node:internal/timers:569:17\n    at async Promise.all (index 0)';
const exception = {
  name: 'exception',
  timeUnixNano: 1_700_000_000_944_999_937n,
  attributes: { 'exception.type': 'TypeError', 'exception.message': 'no', 'exception.stacktrace': stack },
};
const request: readonly Span[] = [
  {
    ...spanOf({
      service: 'shop api/1',
      version: '2',
      id: 'a',
      parent: 'f',
      name: 'GET /items',
      kind: 'server',
      error: true,
    }),
    parentIsRemote: true,
    attributes: { 'http.request.method': 'GET', 'http.route': '/items', list: ['a'] },
    events: [exception],
  },
  spanOf({
    id: 'b',
    parent: 'a',
    name: 'SELECT',
    kind: 'client',
    durationMs: 1.5,
    attributes: { 'db.system.name': 'postgresql', 'db.namespace': 'orders' },
  }),
  spanOf({ id: 'c', parent: 'b', name: 'inner' }),
].map((span) => ({ ...span, resource: resourceOf('shop api/1') }));

function resourceOf(name: string): Span['resource'] {
  return { 'service.name': name, 'service.version': '2', 'deployment.environment.name': 'prod', 'k8s.pod.name': 'p-1' };
}

describe('Elastic intake v2', () => {
  const [resource] = request.map((span) => span.resource);
  const spans = request.map((span) => ({ ...span, resource: resource ?? {} }));

  it('begins with who sends', () => {
    const [first] = encoded(spans);
    expect(first).toMatchObject({
      metadata: {
        service: {
          name: 'shop api_1',
          version: '2',
          environment: 'prod',
          agent: { name: 'mnops' },
          language: { name: 'javascript' },
          runtime: { name: 'node', version: process.versions.node },
        },
        process: { pid: process.pid },
        system: { kubernetes: { pod: { name: 'p-1' } } },
      },
    });
    expect(first?.['metadata']).not.toHaveProperty('labels');
  });

  it('puts container, cluster and cloud where Elastic looks for them, and the rest among the labels', () => {
    const facts = {
      'service.name': 'shop',
      'container.id': 'c1',
      'k8s.namespace.name': 'n1',
      'k8s.pod.uid': 'u1',
      'cloud.region': 'eu-1',
      'host.id': 'i-1',
      zone: 'b',
    };
    const metadata = (resource: Span['resource']) => encoded([{ ...spanOf({ id: 'a' }), resource }])[0]?.['metadata'];
    expect(metadata(facts)).toMatchObject({
      system: { container: { id: 'c1' }, kubernetes: { namespace: 'n1', pod: { uid: 'u1' } } },
      labels: { zone: 'b', cloud_region: 'eu-1', host_id: 'i-1' },
    });
    // The server refuses a cloud without its provider.
    expect(metadata(facts)).not.toHaveProperty('cloud');
    const known = metadata({ ...facts, 'cloud.provider': 'aws', 'cloud.account.id': '7', 'cloud.platform': 'aws_ec2' });
    expect(known).toMatchObject({
      cloud: {
        provider: 'aws',
        account: { id: '7' },
        region: 'eu-1',
        service: { name: 'aws_ec2' },
        instance: { id: 'i-1' },
      },
    });
    expect((known as { labels: object }).labels).toEqual({ zone: 'b' });
  });

  it('tells how many a kept trace stands for, so that the figures of the server count all', () => {
    const sampled = spanOf({ id: 'a', kind: 'server', attributes: { 'sampling.adjusted_count': 20 } });
    const [, kept, head] = encoded([sampled, { ...spanOf({ id: 'b', trace: '2' }), traceState: 'ot=th:c' }]);
    expect(kept?.['transaction']).toMatchObject({ sample_rate: 0.05 });
    expect(head?.['transaction']).toMatchObject({ sample_rate: 0.25 });
  });

  it('cuts long texts in lists, too', () => {
    const attributes = { list: ['x'.repeat(20_000)] };
    const [, document] = encoded([spanOf({ id: 'a', attributes })]);
    expect(document?.['transaction']).toMatchObject({ otel: { attributes: { list: ['x'.repeat(10_000)] } } });
  });

  it('writes a local root as a transaction, what is below as spans, exceptions as errors', () => {
    const [, transaction, error, query, inner] = encoded(spans);
    expect(transaction).toEqual({
      transaction: {
        id: '000000000000000a',
        trace_id: '00000000000000000000000000000001',
        parent_id: '000000000000000f',
        name: 'GET /items',
        timestamp: 1_700_000_000_000_000,
        duration: 10,
        outcome: 'failure',
        sample_rate: 1,
        otel: {
          span_kind: 'SERVER',
          attributes: { 'http.request.method': 'GET', 'http.route': '/items', list: ['a'] },
        },
        type: 'request',
        sampled: true,
        span_count: { started: 2 },
      },
    });
    expect(error).toEqual({
      error: {
        id: '000000000000000a0000000000000000',
        trace_id: '00000000000000000000000000000001',
        parent_id: '000000000000000a',
        transaction_id: '000000000000000a',
        transaction: { sampled: true, type: 'request' },
        timestamp: 1_700_000_000_944_999,
        exception: {
          message: 'no',
          type: 'TypeError',
          handled: true,
          stacktrace: [
            {
              function: 'load',
              abs_path: '/app/src/load.js',
              filename: 'load.js',
              lineno: 12,
              colno: 5,
              library_frame: false,
            },
            { abs_path: 'node:internal/timers', filename: 'timers', lineno: 569, colno: 17, library_frame: true },
          ],
        },
      },
    });
    expect(query).toMatchObject({
      span: {
        id: '000000000000000b',
        parent_id: '000000000000000a',
        transaction_id: '000000000000000a',
        type: 'db',
        subtype: 'postgresql',
        duration: 1.5,
        outcome: 'unknown',
        context: {
          destination: { service: { resource: 'postgresql/orders' } },
          service: { target: { type: 'postgresql', name: 'orders' } },
        },
      },
    });
    expect(inner).toMatchObject({
      span: { parent_id: '000000000000000b', transaction_id: '000000000000000a', type: 'app', subtype: 'internal' },
    });
  });

  it('names the program of spans that come from another one than the first', () => {
    const other = spanOf({
      service: 'worker',
      trace: '2',
      id: 'd',
      kind: 'consumer',
      attributes: { 'messaging.system': 'kafka' },
    });
    const documents = encoded([...spans, other]);
    expect(documents.at(-1)).toMatchObject({
      transaction: { type: 'messaging', context: { service: { name: 'worker', agent: { name: 'mnops' } } } },
    });
    for (const document of documents.slice(1, -1)) {
      expect(JSON.stringify(document)).not.toContain('"agent"');
    }
  });

  it('does not guess a transaction that is not among the spans', () => {
    const [, lonely, served] = encoded([
      spanOf({ id: 'b', parent: 'a', kind: 'client' }),
      spanOf({ id: 'c', trace: '2', parent: 'a', kind: 'server' }),
    ]);
    expect(lonely?.['span']).not.toHaveProperty('transaction_id');
    expect(lonely?.['span']).toMatchObject({ parent_id: '000000000000000a', type: 'unknown' });
    // Nobody said where its caller lives; a request comes from outside.
    expect(served?.['transaction']).toMatchObject({ id: '000000000000000c' });
  });

  it.each([
    ['client', { 'messaging.system': 'sqs', 'messaging.destination.name': 'q' }, 'messaging', 'sqs', 'q'],
    ['client', { 'rpc.system': 'grpc', 'rpc.service': 'Users' }, 'external', 'grpc', 'Users'],
    [
      'client',
      { 'rpc.system': 'grpc', 'server.address': '::1', 'server.port': 50_051 },
      'external',
      'grpc',
      '[::1]:50051',
    ],
    [
      'client',
      { 'http.request.method': 'GET', 'server.address': 'api', 'server.port': 80 },
      'external',
      'http',
      'api:80',
    ],
    ['client', { 'url.full': 'https://api.example:8443/items?q=1' }, 'external', 'http', 'api.example:8443'],
    ['client', { 'db.system': 'redis' }, 'db', 'redis', undefined],
  ] as const)('calls a %s span with %j of type %s/%s', (kind, attributes, type, subtype, name) => {
    const [, document] = encoded([spanOf({ id: 'b', parent: 'a', kind, attributes })]);
    const target = name === undefined ? { type: subtype } : { type: subtype, name };
    // As Elastic's own agents write it: what is outside by its host alone.
    const resource = name === undefined ? subtype : type === 'external' ? name : `${subtype}/${name}`;
    const context = { service: { target }, destination: { service: { resource } } };
    expect(document?.['span']).toMatchObject({ type, subtype, context });
  });
});

dataSuite({ describe, it }, 'elastic-intake-v2', "every line by Elastic's own schemas", (folder) => {
  const schemas = Object.fromEntries(
    ['metadata', 'transaction', 'span', 'error'].map((kind): [string, ValidateFunction] => {
      const schema = JSON.parse(readFileSync(join(folder, `${kind}.json`), 'utf8')) as object;
      return [kind, new Ajv({ strict: false, allErrors: true }).compile(schema)];
    }),
  );

  function problemsOf(documents: readonly IntakeDocument[]): string[] {
    return documents.flatMap((document) =>
      Object.entries(document).flatMap(([kind, body]) => {
        const validate = schemas[kind];
        if (validate === undefined) return [`${kind} is no kind of document`];
        return validate(body)
          ? []
          : (validate.errors ?? []).map(({ instancePath, message }) => `${kind}${instancePath} ${message}`);
      }),
    );
  }

  const long = 'ж'.repeat(20_000);
  const kinds = ['internal', 'server', 'client', 'producer', 'consumer'] as const;
  const attributes: readonly Span['attributes'][] = [
    {},
    { 'http.request.method': 'GET', 'server.address': long, 'server.port': 80 },
    { 'db.system.name': long, 'db.namespace': long },
    { 'messaging.system': 'kafka', 'messaging.destination.name': long },
    { 'rpc.system': 'grpc', list: ['a', null], none: Number.NaN, '': 'x', half: 'x\ud83d' },
  ];
  const awkward: Span[] = kinds.flatMap((kind, k) =>
    attributes.flatMap((given, a) =>
      [undefined, 'ff'].map(
        (parent, p): Span => ({
          ...spanOf({ id: `${k}${a}${p}`, parent, kind, attributes: given, error: a % 2 === 0 }),
          name: [long, '', 'ok'][(k + a) % 3] ?? '',
          durationNano: a === 0 ? 0n : 1_234_567n,
          resource: {
            'service.name': a === 1 ? long : 'shop/☂',
            [long]: long,
            list: ['a'],
            yes: true,
            none: Number.NaN,
          },
          events: [
            {
              ...exception,
              attributes: { 'exception.message': long, 'exception.type': long, 'exception.escaped': true },
            },
            { ...exception, attributes: {} },
            exception,
          ],
          links: [{ traceId: 'c'.repeat(32), spanId: 'd'.repeat(16), attributes: {} }],
        }),
      ),
    ),
  );

  it('holds for spans of every shape', () => {
    const documents = encoded(awkward);
    expect(documents).toHaveLength(1 + awkward.length * 4);
    expect(new Set(documents.flatMap(Object.keys))).toEqual(new Set(['metadata', 'transaction', 'span', 'error']));
    expect(problemsOf(documents)).toEqual([]);
  });

  it('is a check that finds what is wrong', () => {
    expect(
      problemsOf([{ span: { id: 'a' } }, { metadata: { service: { name: 'a/b', agent: {} } } }]).length,
    ).toBeGreaterThan(4);
  });
});

describe('elasticApm', () => {
  let server: FaultServer;
  beforeEach(async () => {
    server = await faultServer();
  });
  afterEach(async () => await server.close());

  it('sends compressed lines to the intake, logged in as told', async () => {
    server.handler((received) => intakeReply(received));
    for (const login of [{ secretToken: () => 'token' }, { apiKey: 'secret://elastic#key' }, {}]) {
      const exporter = elasticApm({ url: `${server.url}/base/`, ...login });
      const call = testCall({ secrets: { 'secret://elastic#key': 'a2V5' } });
      expect(await exporter.export(batchOf([spanOf({ id: 'a' })]), call)).toEqual({ accepted: 1, rejected: 0 });
      await exporter.close?.(testCall());
    }
    expect(server.requests.map(({ headers }) => headers['authorization'])).toEqual([
      'Bearer token',
      'ApiKey a2V5',
      undefined,
    ]);
    expect(server.requests[0]).toMatchObject({
      method: 'POST',
      url: '/base/intake/v2/events',
      headers: { 'content-type': 'application/x-ndjson', 'content-encoding': 'gzip' },
    });
  });

  it('counts a refused exception as no span, and says why documents were refused', async () => {
    const exporter = elasticApm({ url: server.url });
    const batch = batchOf([{ ...spanOf({ id: 'a' }), events: [exception] }, spanOf({ id: 'b' })]);
    const errors = [{ message: 'failed to validate error', document: '{"error":{}}' }];
    server.next({ status: 400, body: { accepted: 2, errors } });
    expect(await exporter.export(batch, testCall())).toEqual({
      accepted: 2,
      rejected: 0,
      message: 'failed to validate error',
    });
    server.next({ status: 202, body: { accepted: 3 } });
    expect(await exporter.export(batch, testCall())).toEqual({ accepted: 2, rejected: 0 });
    await exporter.close?.(testCall());
  });

  it('may be tried again while the queue of the server is full', async () => {
    const exporter = elasticApm({ url: server.url });
    server.next({ status: 503, body: { accepted: 0, errors: [{ message: 'queue is full' }] } });
    await expect(exporter.export(batchOf([spanOf({ id: 'a' })]), testCall())).rejects.toMatchObject({
      code: 'MNOPS_CORE_UNAVAILABLE',
      retryable: true,
    });
    await exporter.close?.(testCall());
  });

  it('refuses wrong options by name', () => {
    expect(() => elasticApm({ secretToken: () => 'a', apiKey: () => 'b' })).toThrow('apiKey');
    expect(() => elasticApm({ token: 'x' } as never)).toThrow('token');
  });
});
