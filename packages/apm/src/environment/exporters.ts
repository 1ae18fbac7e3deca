import { readFile } from 'node:fs/promises';
import { type HttpClient, type HttpResponse, httpClient, type RequestInput, type TlsOptions } from '@mnops/core/http';
import type { TraceExporter } from '@mnops/core/spi';
import { defined, type Variables } from './variables.js';

/** Makes an exporter of the options that its variables give. */
export type ExporterFactory = (options: Readonly<Record<string, unknown>>) => TraceExporter;

/** Names of back ends, as their subpaths have them. */
export type ExporterName =
  | 'otlp'
  | 'jaeger'
  | 'zipkin'
  | 'datadog'
  | 'elastic-apm'
  | 'new-relic'
  | 'console'
  | 'memory';

/** Loads the factory of a back end, and nothing of the others. */
export type ExporterLoader = (name: ExporterName) => Promise<ExporterFactory>;

const names: Readonly<Record<string, ExporterName>> = {
  otlp: 'otlp',
  jaeger: 'jaeger',
  zipkin: 'zipkin',
  datadog: 'datadog',
  elastic: 'elastic-apm',
  'elastic-apm': 'elastic-apm',
  newrelic: 'new-relic',
  'new-relic': 'new-relic',
  console: 'console',
  memory: 'memory',
};
/** For warnings: where to look. */
const variablesOf: Readonly<Record<ExporterName, string>> = {
  otlp: 'OTEL_EXPORTER_OTLP_…',
  jaeger: 'OTEL_EXPORTER_OTLP_ENDPOINT',
  zipkin: 'OTEL_EXPORTER_ZIPKIN_…',
  datadog: 'DD_AGENT_HOST, DD_TRACE_AGENT_URL',
  'elastic-apm': 'ELASTIC_APM_…',
  'new-relic': 'NEW_RELIC_…',
  console: 'OTEL_TRACES_EXPORTER',
  memory: 'OTEL_TRACES_EXPORTER',
};
const otlpEndpoints = ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'OTEL_EXPORTER_OTLP_ENDPOINT'];
/** Bytes and depth of an answer, as `otlp()` has them for a client of its own. */
const answerLimits = { maxBytes: 65_536, maxDepth: 16 } as const;

/** The exporters that are named; without a name those whose variables are set; else none. */
export async function exportersFrom(variables: Variables, load: ExporterLoader): Promise<TraceExporter[]> {
  const exporters: TraceExporter[] = [];
  for (const name of exporterNames(variables)) {
    const options = await optionsOf(name, variables);
    if (options === undefined) continue;
    try {
      const factory = await load(name);
      const { ownClient, ...rest } = options;
      const exporter = factory(ownClient === undefined ? rest : { ...rest, client: ownClient });
      exporters.push(ownClient === undefined ? exporter : closing(exporter, ownClient as HttpClient));
    } catch {
      // The message may quote a value.
      variables.say(
        `The exporter ${name} cannot be made of ${variablesOf[name]}; it is left out. Check their values, or name it not in OTEL_TRACES_EXPORTER.`,
      );
    }
  }
  return exporters;
}

function exporterNames(variables: Variables): readonly ExporterName[] {
  const found = variables.list('OTEL_TRACES_EXPORTER');
  if (found !== undefined) {
    if (found.items.includes('none')) return [];
    const used = found.items.filter((item) => Object.hasOwn(names, item));
    if (used.length < found.items.length) {
      const known = Object.keys(names).join(', ');
      variables.say(`${found.name} names an exporter that is none of ${known}, none; it is left out. Take it out.`);
    }
    return [...new Set(used.map((item) => names[item] as ExporterName))];
  }
  if (variables.has(...otlpEndpoints)) return ['otlp'];
  const isOn = (name: string): boolean => variables.text(name)?.toLowerCase() !== 'false';
  return [
    ...(variables.has('OTEL_EXPORTER_ZIPKIN_ENDPOINT') ? (['zipkin'] as const) : []),
    ...(variables.has('DD_AGENT_HOST', 'DD_TRACE_AGENT_URL') && isOn('DD_TRACE_ENABLED') ? (['datadog'] as const) : []),
    ...(variables.has('ELASTIC_APM_SERVER_URL') && isOn('ELASTIC_APM_ACTIVE') ? (['elastic-apm'] as const) : []),
    ...(variables.has('NEW_RELIC_LICENSE_KEY') && isOn('NEW_RELIC_ENABLED') ? (['new-relic'] as const) : []),
  ];
}

type Options = Readonly<Record<string, unknown>> & { readonly ownClient?: HttpClient };

/** @returns `undefined` when what the back end needs is missing. */
async function optionsOf(name: ExporterName, variables: Variables): Promise<Options | undefined> {
  switch (name) {
    case 'otlp':
      return await otlpOptions(variables, 'http://localhost:4318');
    case 'jaeger':
      for (const old of ['OTEL_EXPORTER_JAEGER_ENDPOINT', 'OTEL_EXPORTER_JAEGER_AGENT_HOST']) {
        if (!variables.has(old)) continue;
        variables.warn(old, 'is of a protocol that Jaeger has given up', 'Set OTEL_EXPORTER_OTLP_ENDPOINT instead.');
      }
      return defined({ url: variables.address(...otlpEndpoints) });
    case 'zipkin':
      return zipkinOptions(variables);
    case 'datadog':
      return defined({ url: datadogUrl(variables) });
    case 'elastic-apm':
      return defined({
        url: variables.address('ELASTIC_APM_SERVER_URL'),
        // A key is asked for first by Elastic's own agents, too.
        ...(variables.has('ELASTIC_APM_API_KEY')
          ? { apiKey: variables.text('ELASTIC_APM_API_KEY') }
          : { secretToken: variables.text('ELASTIC_APM_SECRET_TOKEN') }),
      });
    case 'new-relic':
      return newRelicOptions(variables);
    default:
      return {};
  }
}

async function otlpOptions(variables: Variables, fallback: string): Promise<Options | undefined> {
  const whole = variables.address('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT');
  const base = variables.address('OTEL_EXPORTER_OTLP_ENDPOINT');
  const url = whole ?? (base === undefined ? fallback : withoutQuery(base));
  const protocol = variables.choice(both('PROTOCOL'), {
    'http/protobuf': 'protobuf',
    'http/json': 'json',
    grpc: 'grpc',
  });
  if (protocol === 'grpc') {
    variables.say(
      `${variables.first(both('PROTOCOL'))?.name} asks for gRPC, which is not spoken; http/protobuf is used. Set OTEL_EXPORTER_OTLP_TRACES_PROTOCOL to http/protobuf, and the address to the port for it (mostly 4318).`,
    );
  }
  const timeoutMs = variables.count(both('TIMEOUT'));
  const tls = await tlsOf(variables);
  const headers = new Map([
    ...variables.pairs('OTEL_EXPORTER_OTLP_HEADERS'),
    ...variables.pairs('OTEL_EXPORTER_OTLP_TRACES_HEADERS'),
  ]);
  const isOther = whole !== undefined && !whole.replace(/\/+$/, '').endsWith('/v1/traces');
  const needsClient = isOther || timeoutMs !== undefined || tls !== undefined;
  return defined({
    url,
    protocol: protocol === 'grpc' ? 'protobuf' : protocol,
    headers: headers.size === 0 ? undefined : Object.fromEntries(headers),
    compression: variables.choice(both('COMPRESSION'), { gzip: 'gzip', none: 'none' }),
    ownClient: needsClient ? clientFor(isOther ? whole : undefined, timeoutMs, tls) : undefined,
  });
}

/** The address of the signal is used as it is, whatever path the exporter would add. */
function clientFor(
  address: string | undefined,
  timeoutMs: number | undefined,
  tls: TlsOptions | undefined,
): HttpClient {
  const client = httpClient({ ...answerLimits, ...defined({ timeoutMs, tls }) });
  if (address === undefined) return client;
  const request = (input: RequestInput): Promise<HttpResponse> => client.request({ ...input, url: address });
  return { request: request as HttpClient['request'], close: () => client.close() };
}

/** An exporter closes no client that it was handed, but nobody else knows of this one. */
function closing(exporter: TraceExporter, client: HttpClient): TraceExporter {
  return {
    ...exporter,
    close: async (...call) => {
      await exporter.close?.(...call);
      await client.close();
    },
  };
}

async function tlsOf(variables: Variables): Promise<TlsOptions | undefined> {
  const ca = await fileOf(variables, both('CERTIFICATE'));
  const cert = await fileOf(variables, both('CLIENT_CERTIFICATE'));
  const key = await fileOf(variables, both('CLIENT_KEY'));
  if ((cert === undefined) !== (key === undefined)) {
    variables.say(
      'OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY are needed together; the one is ignored. Set both.',
    );
  }
  const pair = cert === undefined || key === undefined ? {} : { cert, key };
  const tls = { ...defined({ ca }), ...pair };
  return Object.keys(tls).length === 0 ? undefined : tls;
}

async function fileOf(variables: Variables, from: readonly string[]): Promise<string | undefined> {
  const found = variables.first(from);
  if (found === undefined) return undefined;
  try {
    return await readFile(found.value, 'utf8');
  } catch {
    variables.warn(found.name, 'names a file that cannot be read', 'Check its path and who may read it.');
    return undefined;
  }
}

function zipkinOptions(variables: Variables): Options {
  const timeoutMs = variables.count(['OTEL_EXPORTER_ZIPKIN_TIMEOUT']);
  return defined({
    url: variables.address('OTEL_EXPORTER_ZIPKIN_ENDPOINT'),
    ownClient: timeoutMs === undefined ? undefined : clientFor(undefined, timeoutMs, undefined),
  });
}

function datadogUrl(variables: Variables): string | undefined {
  const whole = variables.address('DD_TRACE_AGENT_URL');
  if (whole !== undefined) return whole;
  const host = variables.text('DD_AGENT_HOST');
  if (host === undefined) return undefined;
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${variables.count(['DD_TRACE_AGENT_PORT']) ?? 8126}`;
  if (URL.canParse(url) && new URL(url).username === '') return url;
  variables.warn('DD_AGENT_HOST', 'is no name of a host', 'Set a name or an address without a port.');
  return undefined;
}

function newRelicOptions(variables: Variables): Options | undefined {
  const apiKey = variables.text('NEW_RELIC_LICENSE_KEY');
  if (apiKey === undefined) {
    variables.say('The exporter new-relic needs NEW_RELIC_LICENSE_KEY; it is left out. Set the licence key.');
    return undefined;
  }
  const host = variables.text('NEW_RELIC_HOST') ?? '';
  // Keys of accounts in Europe begin so.
  if (/^eu/i.test(apiKey) || /\beu\d*\./i.test(host)) return { apiKey, region: 'eu' };
  return { apiKey, region: /^gov-/i.test(host) ? 'gov' : 'us' };
}

function both(end: string): readonly string[] {
  return [`OTEL_EXPORTER_OTLP_TRACES_${end}`, `OTEL_EXPORTER_OTLP_${end}`];
}

function withoutQuery(address: string): string {
  return address.split(/[?#]/, 1)[0] ?? address;
}
