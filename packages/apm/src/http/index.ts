import { functionSchema, parseOptions } from '@mnops/core/config';
import * as v from 'valibot';
import { instrumentClients } from './client.js';
import { instrumentFetch } from './fetch.js';
import type { ActiveInstrumentation, HttpInstrumentationOptions, HttpTracing } from './instrumentation.js';
import { instrumentServers } from './server.js';

export type { HttpInstrumentationOptions, HttpTracing } from './instrumentation.js';
export type { HttpRequestFacts } from './request-facts.js';

const managerSchema = v.object({
  apm: v.custom<HttpTracing>((value) => {
    const { inject, extract, withContext } = (value ?? {}) as Partial<HttpTracing>;
    return [inject, extract, withContext].every((part) => typeof part === 'function');
  }, 'a PerformanceMonitoringManager'),
});
const optionsSchema = v.strictObject({
  incoming: v.optional(v.boolean()),
  outgoing: v.optional(v.boolean()),
  ignore: v.optional(functionSchema),
  route: v.optional(functionSchema),
  onRequest: v.optional(functionSchema),
});

/**
 * From here on each HTTP request gets a span by OpenTelemetry's conventions, and carries the trace on: those that
 * `node:http` and `node:https` servers get, and those that `http.request`, `http.get`, `fetch` and undici send.
 * Requests that have trace headers already, that OpenTelemetry's own instrumentation takes care of, or that exporters
 * send, are left alone. Names have the route or nothing, never the path; passwords in addresses and the values of query
 * parameters that look like secrets are left out.
 *
 * The functions of `node:http` and `node:https` are replaced, so code that took `request` out of a CommonJS module
 * before keeps the old one.
 *
 * @param apm - The manager. Requests before its `start()` and after its `stop()` get no spans.
 * @returns A function that undoes it. Spans that are open still end.
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for options that cannot be read, or without a manager.
 */
export function instrumentHttp(apm: HttpTracing, options: HttpInstrumentationOptions = {}): () => void {
  parseOptions('instrumentHttp', managerSchema, { apm });
  parseOptions('instrumentHttp', optionsSchema, options);
  const instrumentation: ActiveInstrumentation = { apm, options: { ...options }, active: true, failedHooks: new Set() };
  const { incoming = true, outgoing = true } = options;
  const undo = [
    ...(incoming ? [instrumentServers(instrumentation)] : []),
    ...(outgoing ? [instrumentClients(instrumentation), instrumentFetch(instrumentation)] : []),
  ];
  return () => {
    if (!instrumentation.active) return;
    instrumentation.active = false;
    // The last that was put on comes off first.
    for (const one of undo.reverse()) one();
  };
}
