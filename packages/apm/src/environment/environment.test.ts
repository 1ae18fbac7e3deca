import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TraceExporter } from '@mnops/core/spi';
import { describe, expect, it } from 'vitest';
import { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';
import { testExporter } from '../testing/test-exporter.js';
import type { ExporterName } from './exporters.js';
import { apmConfigFromEnvironment } from './index.js';
import { type EnvironmentConfig, readEnvironment } from './read-environment.js';

interface Read extends EnvironmentConfig {
  /** Back ends that were loaded, and the options that each got. */
  readonly loaded: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

async function read(source: Readonly<Record<string, string>>): Promise<Read> {
  const loaded: Record<string, Readonly<Record<string, unknown>>> = {};
  const result = await readEnvironment(source, async (name: ExporterName) => (options): TraceExporter => {
    const { client, ...rest } = options;
    loaded[name] = client === undefined ? rest : { ...rest, client: 'own' };
    return testExporter(({ spanCount }) => ({ accepted: spanCount, rejected: 0 }), { id: name });
  });
  return { ...result, loaded };
}

describe('apmConfigFromEnvironment', () => {
  it('gives an empty configuration for an empty environment, and takes empty variables as unset', async () => {
    const empty = { config: {}, disabled: false, warnings: [], loaded: {} };
    expect(await read({})).toEqual(empty);
    const names = [
      'OTEL_SERVICE_NAME',
      'OTEL_PROPAGATORS',
      'OTEL_TRACES_EXPORTER',
      'OTEL_BSP_SCHEDULE_DELAY',
      'DD_SERVICE',
    ];
    expect(await read(Object.fromEntries(names.map((name) => [name, ' '])))).toEqual(empty);
  });

  it('reads the service, in the order of who says it', async () => {
    const source = {
      OTEL_RESOURCE_ATTRIBUTES:
        'service.name=a%20b,service.version=1,deployment.environment=test,team=x%2Cy,service.namespace=n',
      DD_SERVICE: 'dd',
      DD_VERSION: '9',
      DD_TAGS: 'team:z,region:eu',
      ELASTIC_APM_SERVICE_NODE_NAME: 'node-1',
    };
    expect((await read(source)).config.service).toEqual({
      name: 'a b',
      namespace: 'n',
      version: '1',
      environment: 'test',
      instance: 'node-1',
      attributes: { team: 'x,y', region: 'eu' },
    });
    expect((await read({ ...source, OTEL_SERVICE_NAME: 'otel' })).config.service).toMatchObject({ name: 'otel' });
    expect((await read({ ...source, OTEL_SERVICE_NAME: 'otel', MNOPS_SERVICE: 'own' })).config.service).toMatchObject({
      name: 'own',
    });
    expect((await read({ NEW_RELIC_APP_NAME: 'one;two' })).config.service).toEqual({ name: 'one' });
    const wrong = await read({ OTEL_RESOURCE_ATTRIBUTES: 'a=1,secret%ZZ=2', OTEL_SERVICE_NAME: 'x'.repeat(256) });
    expect(wrong.config).toEqual({});
    expect(wrong.warnings).toHaveLength(2);
  });

  it.each([
    [{ OTEL_PROPAGATORS: 'b3, tracecontext,b3' }, ['b3', 'tracecontext'], 0],
    [{ OTEL_PROPAGATORS: 'none' }, [], 0],
    [{ OTEL_PROPAGATORS: 'ottrace,XRay' }, ['xray'], 1],
    [{ OTEL_PROPAGATORS: 'ottrace' }, undefined, 1],
    [
      { DD_TRACE_PROPAGATION_STYLE: 'Datadog,b3,B3 single header,tracecontext' },
      ['datadog', 'b3multi', 'b3', 'tracecontext'],
      0,
    ],
    [{ OTEL_PROPAGATORS: 'baggage', DD_TRACE_PROPAGATION_STYLE: 'datadog' }, ['baggage'], 0],
  ])('reads propagators: %j', async (source, propagators, warnings) => {
    const result = await read(source as Record<string, string>);
    expect(result.config.propagators).toEqual(propagators);
    expect(result.warnings).toHaveLength(warnings);
  });

  it.each([
    [{ OTEL_TRACES_SAMPLER: 'always_on' }, { kind: 'always-on' }, 0],
    [{ OTEL_TRACES_SAMPLER: 'always_off' }, { kind: 'always-off' }, 0],
    [{ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.25' }, { kind: 'ratio', ratio: 0.25 }, 0],
    [{ OTEL_TRACES_SAMPLER: 'traceidratio' }, { kind: 'ratio', ratio: 1 }, 0],
    [{ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '2' }, { kind: 'ratio', ratio: 1 }, 1],
    [{ OTEL_TRACES_SAMPLER: 'parentbased_always_on' }, { kind: 'parent-based', root: { kind: 'always-on' } }, 0],
    [{ OTEL_TRACES_SAMPLER: 'ParentBased_Always_Off' }, { kind: 'parent-based', root: { kind: 'always-off' } }, 0],
    [
      { OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '.5' },
      { kind: 'parent-based', root: { kind: 'ratio', ratio: 0.5 } },
      0,
    ],
    [{ OTEL_TRACES_SAMPLER: 'jaeger_remote', DD_TRACE_SAMPLE_RATE: '0.1' }, undefined, 1],
    [{ OTEL_TRACES_SAMPLER_ARG: '0.5' }, undefined, 1],
    [{ OTEL_TRACES_SAMPLER: 'always_on', OTEL_TRACES_SAMPLER_ARG: 'x' }, { kind: 'always-on' }, 1],
    [{ OTEL_TRACES_SAMPLER: 'jaeger_remote', OTEL_TRACES_SAMPLER_ARG: 'endpoint=a' }, undefined, 1],
    [{ DD_TRACE_SAMPLE_RATE: '0.1' }, { kind: 'parent-based', root: { kind: 'ratio', ratio: 0.1 } }, 0],
    [{ ELASTIC_APM_TRANSACTION_SAMPLE_RATE: '0' }, { kind: 'parent-based', root: { kind: 'ratio', ratio: 0 } }, 0],
  ])('reads the sampler: %j', async (source, head, warnings) => {
    const result = await read(source as Record<string, string>);
    expect(result.config.sampling?.head).toEqual(head);
    expect(result.warnings).toHaveLength(warnings);
  });

  it('reads queue and limits, and warns of numbers that are none', async () => {
    const { config, warnings } = await read({
      OTEL_BSP_SCHEDULE_DELAY: '0',
      OTEL_BSP_EXPORT_TIMEOUT: '1000',
      OTEL_BSP_MAX_QUEUE_SIZE: '100',
      OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '50',
      OTEL_ATTRIBUTE_COUNT_LIMIT: '10',
      OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT: '20',
      OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: '30',
      OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT: 'many',
      OTEL_SPAN_EVENT_COUNT_LIMIT: '40',
      OTEL_SPAN_LINK_COUNT_LIMIT: '50',
      OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT: '60',
    });
    expect(config).toEqual({
      queue: { maxSpans: 100, batchSpans: 50, delayMs: 0, exportTimeoutMs: 1_000 },
      spanLimits: { attributes: 20, valueLength: 30, events: 40, links: 50, eventAttributes: 60, linkAttributes: 10 },
    });
    expect(warnings).toEqual([
      'OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT is no whole number of at least 1; it is ignored. Set one, or unset it.',
    ]);
    for (const wrong of ['0x10', '1e3', '-1', '1.5', 'NaN', 'Infinity', '9'.repeat(30)]) {
      const result = await read({ OTEL_BSP_MAX_QUEUE_SIZE: wrong });
      expect([result.config, result.warnings.length]).toEqual([{}, 1]);
    }
    expect((await read({ OTEL_BSP_MAX_QUEUE_SIZE: '10', OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '11' })).config.queue).toEqual({
      maxSpans: 10,
    });
  });

  it.each<[Record<string, string>, Record<string, Record<string, unknown>>]>([
    [{ OTEL_TRACES_EXPORTER: 'otlp' }, { otlp: { url: 'http://localhost:4318' } }],
    [{ OTEL_TRACES_EXPORTER: 'none', DD_AGENT_HOST: 'h' }, {}],
    [{ OTEL_TRACES_EXPORTER: 'console,zipkin' }, { console: {}, zipkin: {} }],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318' }, { otlp: { url: 'http://c:4318' } }],
    [
      {
        OTEL_EXPORTER_OTLP_ENDPOINT: 'https://c/base/',
        OTEL_EXPORTER_OTLP_HEADERS: 'api-key=k%3D1,a=1',
        OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'a=2',
        OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
        OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
        OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/json',
      },
      {
        otlp: { url: 'https://c/base/', headers: { 'api-key': 'k=1', a: '2' }, compression: 'gzip', protocol: 'json' },
      },
    ],
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a', OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://b/v1/traces' },
      { otlp: { url: 'http://b/v1/traces' } },
    ],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://b/in' }, { otlp: { url: 'http://b/in', client: 'own' } }],
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a', OTEL_EXPORTER_OTLP_TIMEOUT: '5' },
      { otlp: { url: 'http://a', client: 'own' } },
    ],
    [{ OTEL_TRACES_EXPORTER: 'jaeger' }, { jaeger: {} }],
    [
      {
        OTEL_TRACES_EXPORTER: 'zipkin',
        OTEL_EXPORTER_ZIPKIN_ENDPOINT: 'http://z/api/v2/spans',
        OTEL_EXPORTER_ZIPKIN_TIMEOUT: '5',
      },
      { zipkin: { url: 'http://z/api/v2/spans', client: 'own' } },
    ],
    [{ DD_AGENT_HOST: '10.0.0.1', DD_TRACE_AGENT_PORT: '9' }, { datadog: { url: 'http://10.0.0.1:9' } }],
    [{ DD_AGENT_HOST: '::1' }, { datadog: { url: 'http://[::1]:8126' } }],
    [{ DD_AGENT_HOST: 'a', DD_TRACE_AGENT_URL: 'http://b:1' }, { datadog: { url: 'http://b:1' } }],
    [{ DD_AGENT_HOST: 'a', DD_TRACE_ENABLED: 'false' }, {}],
    [
      { ELASTIC_APM_SERVER_URL: 'http://e', ELASTIC_APM_SECRET_TOKEN: 't' },
      { 'elastic-apm': { url: 'http://e', secretToken: 't' } },
    ],
    [
      { ELASTIC_APM_SERVER_URL: 'http://e', ELASTIC_APM_SECRET_TOKEN: 't', ELASTIC_APM_API_KEY: 'k' },
      { 'elastic-apm': { url: 'http://e', apiKey: 'k' } },
    ],
    [{ NEW_RELIC_LICENSE_KEY: 'abc' }, { 'new-relic': { apiKey: 'abc', region: 'us' } }],
    [{ NEW_RELIC_LICENSE_KEY: 'eu01xx1' }, { 'new-relic': { apiKey: 'eu01xx1', region: 'eu' } }],
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a', NEW_RELIC_LICENSE_KEY: 'abc', DD_AGENT_HOST: 'h' },
      { otlp: { url: 'http://a' } },
    ],
    [
      { DD_AGENT_HOST: 'h', NEW_RELIC_LICENSE_KEY: 'abc', OTEL_TRACES_EXPORTER: 'newrelic' },
      { 'new-relic': { apiKey: 'abc', region: 'us' } },
    ],
  ])('reads exporters and loads no others: %j', async (source, loaded) => {
    const result = await read(source);
    expect(result.loaded).toEqual(loaded);
    expect(result.config.exporters?.map(({ id }) => id) ?? []).toEqual(Object.keys(loaded));
    expect(result.warnings).toEqual([]);
  });

  it('warns once of a variable that several options come from, by its name and with a remedy', async () => {
    const { warnings } = await read({ OTEL_ATTRIBUTE_COUNT_LIMIT: 'many' });
    expect(warnings).toEqual([
      'OTEL_ATTRIBUTE_COUNT_LIMIT is no whole number of at least 1; it is ignored. Set one, or unset it.',
    ]);
    const named = async (source: Readonly<Record<string, string>>): Promise<readonly string[]> =>
      (await read(source)).warnings;
    expect(await named({ OTEL_SERVICE_NAME: 'x'.repeat(256) })).toEqual([
      'OTEL_SERVICE_NAME: the name of the service has more than 255 characters; it is ignored. Shorten it.',
    ]);
    expect(await named({ OTEL_TRACES_EXPORTER: 'otlp', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' })).toEqual([
      expect.stringMatching(/^OTEL_EXPORTER_OTLP_PROTOCOL asks for gRPC.* Set OTEL_EXPORTER_OTLP_TRACES_PROTOCOL /),
    ]);
    expect(await named({ OTEL_TRACES_EXPORTER: 'jaeger', OTEL_EXPORTER_JAEGER_ENDPOINT: 'http://a:14268' })).toEqual([
      expect.stringMatching(/^OTEL_EXPORTER_JAEGER_ENDPOINT .* Set OTEL_EXPORTER_OTLP_ENDPOINT instead\.$/),
    ]);
  });

  it('says nothing of variables of other signals and other languages, and reads those of OpenTelemetry for JavaScript', async () => {
    const others = {
      OTEL_METRICS_EXPORTER: 'prometheus',
      OTEL_LOGS_EXPORTER: 'otlp',
      OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: 'host:4317',
      OTEL_EXPORTER_OTLP_LOGS_PROTOCOL: 'grpc',
      OTEL_EXPORTER_OTLP_INSECURE: 'true',
      OTEL_METRIC_EXPORT_INTERVAL: 'often',
      OTEL_BLRP_MAX_QUEUE_SIZE: 'many',
      OTEL_JAVAAGENT_ENABLED: 'false',
      OTEL_PYTHON_LOG_CORRELATION: 'true',
      OTEL_NODE_RESOURCE_DETECTORS: 'all',
      OTEL_EXPORTER_PROMETHEUS_PORT: 'x',
      OTEL_EXPORTER_JAEGER_ENDPOINT: 'http://a:14268',
      OTEL_LOG_LEVEL: 'debug',
    };
    expect(await read(others)).toMatchObject({ config: {}, warnings: [] });
    const limits = {
      OTEL_SPAN_ATTRIBUTE_PER_EVENT_COUNT_LIMIT: '7',
      OTEL_SPAN_ATTRIBUTE_PER_LINK_COUNT_LIMIT: '8',
      OTEL_LINK_ATTRIBUTE_COUNT_LIMIT: '9',
    };
    expect((await read(limits)).config).toEqual({ spanLimits: { eventAttributes: 7, linkAttributes: 9 } });
  });

  it('warns without any value of a variable', async () => {
    const secret = 'hunter2';
    const names = [
      'OTEL_TRACES_SAMPLER',
      'OTEL_TRACES_SAMPLER_ARG',
      'OTEL_LOG_LEVEL',
      'OTEL_SDK_DISABLED',
      'OTEL_PROPAGATORS',
      'OTEL_BSP_MAX_QUEUE_SIZE',
      'OTEL_RESOURCE_ATTRIBUTES',
      'OTEL_EXPORTER_OTLP_HEADERS',
      'OTEL_EXPORTER_OTLP_PROTOCOL',
      'OTEL_EXPORTER_OTLP_COMPRESSION',
      'OTEL_EXPORTER_OTLP_TIMEOUT',
      'OTEL_EXPORTER_OTLP_CERTIFICATE',
      'OTEL_EXPORTER_OTLP_CLIENT_KEY',
      'DD_TAGS',
    ];
    const source = Object.fromEntries(names.map((name) => [name, secret]));
    const { warnings, config } = await read({
      ...source,
      OTEL_TRACES_EXPORTER: `otlp,zipkin,newrelic,${secret}`,
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://user:${secret}@host`,
      OTEL_EXPORTER_ZIPKIN_ENDPOINT: `ftp://${secret}`,
      OTEL_TRACES_SAMPLER: 'traceidratio',
    });
    // All but the sampler itself, and two exporters' addresses, the unknown exporter and the missing key.
    expect(warnings.filter((one) => !/^[A-Z].*\.$/.test(one))).toEqual([]);
    for (const name of names) {
      if (name === 'OTEL_TRACES_SAMPLER') continue;
      expect(
        warnings.filter((one) => one.includes(name)),
        name,
      ).toHaveLength(1);
    }
    expect(warnings).toHaveLength(names.length - 1 + 4);
    expect(JSON.stringify(warnings)).not.toContain(secret);
    expect(config.exporters?.map(({ id }) => id)).toEqual(['otlp', 'zipkin']);
    const failing = await readEnvironment({ OTEL_TRACES_EXPORTER: 'zipkin' }, () => Promise.reject(new Error(secret)));
    expect(failing).toMatchObject({ config: {}, warnings: [expect.stringContaining('zipkin')] });
    expect(JSON.stringify(failing.warnings)).not.toContain(secret);
  });

  it('knows a disabled SDK and files of configuration', async () => {
    const off = await read({ OTEL_SDK_DISABLED: 'True', OTEL_TRACES_EXPORTER: 'otlp', OTEL_SERVICE_NAME: 'a' });
    expect(off).toEqual({
      config: { service: { name: 'a' }, analysis: false, sampling: { head: { kind: 'always-off' } } },
      disabled: true,
      warnings: [],
      loaded: {},
    });
    const file = await read({ OTEL_CONFIG_FILE: 'x.yaml', OTEL_SERVICE_NAME: 'a', DD_SERVICE: 'b' });
    expect([file.config, file.warnings.length]).toEqual([{}, 1]);
  });

  it('makes a manager that delivers where the variables say, with their headers', async () => {
    const seen: { url: string; headers: IncomingHttpHeaders }[] = [];
    const server = createServer((request, response) => {
      seen.push({ url: request.url ?? '', headers: request.headers });
      request.resume();
      response.end();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      for (const [name, path] of [
        ['OTEL_EXPORTER_OTLP_ENDPOINT', '/base'],
        ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', '/in?a=1'],
      ] as const) {
        const { config, warnings } = await apmConfigFromEnvironment({
          OTEL_SERVICE_NAME: 'shop',
          [name]: `${url}${path}`,
          OTEL_EXPORTER_OTLP_HEADERS: 'x-key=a%20b',
          OTEL_EXPORTER_OTLP_TIMEOUT: '5000',
        });
        expect(warnings).toEqual([]);
        const apm = new PerformanceMonitoringManager({ ...config, registerGlobals: false });
        await apm.start();
        apm.trace('work', () => undefined);
        expect((await apm.stop()).exporters['otlp']?.delivered).toBe(1);
      }
    } finally {
      server.closeAllConnections();
      server.close();
    }
    expect(seen.map((one) => one.url)).toEqual(['/base/v1/traces', '/in?a=1']);
    expect(seen.map(({ headers }) => headers['x-key'])).toEqual(['a b', 'a b']);
  });

  it('reads certificates from their files', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'apm-environment-'));
    try {
      const file = join(folder, 'pem');
      writeFileSync(file, 'PEM');
      const base = { OTEL_EXPORTER_OTLP_ENDPOINT: 'https://a' };
      const whole = await read({ ...base, OTEL_EXPORTER_OTLP_CERTIFICATE: file });
      expect([whole.loaded, whole.warnings]).toEqual([{ otlp: { url: 'https://a', client: 'own' } }, []]);
      const half = await read({ ...base, OTEL_EXPORTER_OTLP_CLIENT_KEY: file });
      expect([half.loaded, half.warnings.length]).toEqual([{ otlp: { url: 'https://a' } }, 1]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
