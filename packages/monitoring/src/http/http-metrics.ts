import type { IncomingMessage, ServerResponse } from 'node:http';
import type { MetricRegistry } from '../metrics/registry.js';
import type { RequestHandler } from './metrics-handler.js';

/** How requests are measured. */
export interface HttpMetricsOptions {
  /** The route's template, such as `/orders/:id`; never the raw address. Default: one route `unmatched`. */
  readonly route?: ((request: IncomingMessage) => string) | undefined;
  /** Upper bounds in seconds. Default 5 ms to 10 s. */
  readonly buckets?: readonly number[] | undefined;
}

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'CONNECT', 'TRACE']);

/**
 * Wraps a request handler so that each request is measured in `http_server_request_duration_seconds` with the labels
 * `method`, `route` and `status_class` (`2xx` … `5xx`; `aborted` when the client went away first).
 */
export function httpMetrics(
  registry: MetricRegistry,
  handler: RequestHandler,
  options: HttpMetricsOptions = {},
): RequestHandler {
  const duration = registry.histogram({
    name: 'http_server_request_duration_seconds',
    help: 'Duration of the requests that this service answered.',
    unit: 'seconds',
    labels: ['method', 'route', 'status_class'],
    buckets: options.buckets,
  });
  const inFlight = registry.gauge({ name: 'http_server_active_requests', help: 'Requests being answered.' }).with({});
  return (request, response) => {
    const startedAt = process.hrtime.bigint();
    inFlight.inc();
    response.once('close', () => {
      inFlight.dec();
      duration.observe(
        {
          method: methods.has(request.method ?? '') ? request.method : '_OTHER',
          route: routeOf(options, request),
          status_class: statusClass(response),
        },
        Number(process.hrtime.bigint() - startedAt) / 1e9,
      );
    });
    handler(request, response);
  };
}

/** A route function that fails must not fail the process: its requests count as unmatched. */
function routeOf(options: HttpMetricsOptions, request: IncomingMessage): string {
  try {
    return options.route?.(request) ?? 'unmatched';
  } catch {
    return 'unmatched';
  }
}

function statusClass(response: ServerResponse): string {
  return response.writableFinished ? `${Math.floor(response.statusCode / 100)}xx` : 'aborted';
}
