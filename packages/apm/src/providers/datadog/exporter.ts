import { randomUUID } from 'node:crypto';
import { parseOptions } from '@mnops/core/config';
import { type HttpResponse, resourceUrl } from '@mnops/core/http';
import type { JsonValue, TraceExporter } from '@mnops/core/spi';
import * as v from 'valibot';
import {
  addressSchema,
  assertFits,
  type ReceiverOptions,
  receiverClient,
  receiverSchema,
  refusalOf,
} from '../../delivery/http-receiver.js';
import { packageVersion } from '../../package-version.js';
import { type ContainerHeaders, containerHeaders } from './container.js';
import { encodeDatadog } from './encode.js';

/** Where spans go. `maxRequestBytes` is 8 MiB and `id` is `datadog` unless given. */
export interface DatadogOptions extends ReceiverOptions {
  /** Base address of the agent. Default `http://localhost:8126`. */
  readonly url?: string | undefined;
}

const optionsSchema = v.strictObject({ ...receiverSchema, url: v.optional(addressSchema) });
/** Rates kept of one answer; an agent sends one for each service and environment. */
const maxRates = 1_000;

/**
 * Delivers spans to a Datadog agent by its trace API v0.4.
 *
 * The answer's `samplingRates` are what the agent asks each service to keep, by `service:<name>,env:<name>`.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` when an option is unknown or malformed.
 */
export function datadog(options: DatadogOptions = {}): TraceExporter {
  const {
    url: base = 'http://localhost:8126',
    maxRequestBytes = 8_388_608,
    id = 'datadog',
    client: given,
  } = parseOptions('datadog', optionsSchema, options);
  const url = resourceUrl(base, 'v0.4', 'traces');
  const client = given ?? receiverClient();
  const own = { runtimeId: randomUUID(), pid: process.pid };
  let container: Promise<ContainerHeaders> | undefined;

  return {
    specVersion: 1,
    kind: 'trace-exporter',
    id,
    capabilities: {
      maxRequestBytes,
      maxSpansPerRequest: 10_000,
      partialSuccess: false,
      safeToRepeat: true,
      delivers: 'remote',
    },
    async export(batch, call) {
      if (batch.spanCount === 0) return { accepted: 0, rejected: 0 };
      const { bytes, traceCount } = encodeDatadog(batch, own);
      assertFits(bytes.length, maxRequestBytes, id);
      container ??= containerHeaders();
      const response = await client.request({
        method: 'PUT',
        url,
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
        signal: call.signal,
      });
      if (response.status < 200 || response.status > 299) throw refusalOf(response, id);
      const samplingRates = ratesOf(response);
      return { accepted: batch.spanCount, rejected: 0, ...(samplingRates === undefined ? {} : { samplingRates }) };
    },
    // A client that was handed in belongs to its owner.
    async close() {
      if (given === undefined) await client.close();
    },
  };
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
