import { randomUUID } from 'node:crypto';
import { parseOptions } from '@mnops/core/config';
import type { HttpResponse } from '@mnops/core/http';
import type { JsonValue, SpanBatch, TraceExporter } from '@mnops/core/spi';
import * as v from 'valibot';
import { packageVersion } from '../../package-version.js';
import {
  addressSchema,
  httpExporter,
  isTaken,
  type ReceiverOptions,
  receiverAddress,
  receiverClient,
  receiverSchema,
  refusalOf,
} from '../http-exporter.js';
import { AgentInfo } from './agent-info.js';
import { type ContainerHeaders, containerHeaders } from './container.js';
import { encodeDatadog } from './encode.js';

/** Where spans go. `maxRequestBytes` is 8 MiB and `id` is `datadog` unless given. */
export interface DatadogOptions extends ReceiverOptions {
  /** Base address of the agent, or the whole one, which ends in `/v0.4/traces`. Default `http://localhost:8126`. */
  readonly url?: string | undefined;
}

const optionsSchema = v.strictObject({ ...receiverSchema, url: v.optional(addressSchema) });
/** Rates kept of one answer; an agent sends one for each service and environment. */
const maxRates = 1_000;

/**
 * Delivers spans to a Datadog agent by its trace API v0.4.
 *
 * Events are native where the agent says in `/info` that it reads them, else JSON in a tag. It is asked after the first
 * batch with events.
 *
 * The answer's `samplingRates` are what the agent asks each service to keep, by `service:<name>,env:<name>`.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` when an option is unknown or malformed.
 */
export function datadog(options: DatadogOptions = {}): TraceExporter {
  const {
    url: given = 'http://localhost:8126',
    maxRequestBytes = 8_388_608,
    id = 'datadog',
    ...rest
  } = parseOptions('datadog', optionsSchema, options);
  const client = rest.client ?? receiverClient();
  const { base, url } = receiverAddress(given, 'v0.4', 'traces');
  const agent = new AgentInfo(client, base);
  const own = { runtimeId: randomUUID(), pid: process.pid };
  let container: Promise<ContainerHeaders> | undefined;
  const exporter = httpExporter({
    id,
    capabilities: { maxRequestBytes, partialSuccess: false, safeToRepeat: true },
    method: 'PUT',
    url,
    compression: 'none',
    timeoutMs: rest.timeoutMs,
    client,
    request: async (batch) => {
      container ??= containerHeaders();
      const { bytes, traceCount } = encodeDatadog(batch, own, agent.abilities);
      return {
        headers: {
          'content-type': 'application/msgpack',
          'datadog-meta-lang': 'nodejs',
          'datadog-meta-lang-version': process.version,
          'datadog-meta-lang-interpreter': 'v8',
          'datadog-meta-tracer-version': packageVersion,
          'x-datadog-trace-count': String(traceCount),
          ...(await container),
        },
        body: bytes,
        answer: (response) => {
          if (!isTaken(response)) throw refusalOf(response, id);
          if (hasEvents(batch)) agent.heed(response);
          const samplingRates = ratesOf(response);
          return { accepted: batch.spanCount, rejected: 0, ...(samplingRates === undefined ? {} : { samplingRates }) };
        },
      };
    },
  });
  return {
    ...exporter,
    async close() {
      await agent.close();
      // A client that was handed in belongs to its owner.
      if (rest.client === undefined) await client.close();
    },
  };
}

function hasEvents({ groups }: SpanBatch): boolean {
  return groups.some(({ spans }) => spans.some(({ events }) => events.length > 0));
}

/** The rates of an answer; `undefined` when it has none. The spans are taken either way: old agents answer `OK`. */
function ratesOf(response: HttpResponse): ReadonlyMap<string, number> | undefined {
  let body: JsonValue;
  try {
    body = response.json();
  } catch {
    return undefined;
  }
  const rates = (body as { rate_by_service?: unknown } | null)?.rate_by_service;
  if (typeof rates !== 'object' || rates === null) return undefined;
  const valid = Object.entries(rates).filter(
    (entry): entry is [string, number] =>
      entry[0].length <= 500 && typeof entry[1] === 'number' && entry[1] >= 0 && entry[1] <= 1,
  );
  return new Map(valid.slice(0, maxRates));
}
