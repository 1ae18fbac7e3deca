import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createGzip } from 'node:zlib';
import { traced } from '@mnops/core/operations';
import type { MetricRegistry } from '../metrics/registry.js';

/** Who may scrape. */
export interface MetricsHandlerOptions {
  /** Answers whether a request may be served; everything but `true`, an error too, gives 401. Default: everybody who reaches the listener. */
  readonly authorize?: ((request: IncomingMessage) => boolean | Promise<boolean>) | undefined;
}

/** A listener for `node:http` and everything that takes one. */
export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void;

/**
 * Serves a registry to scrapers: text 0.0.4 or OpenMetrics by the Accept header, gzip when asked for. It opens no
 * listener: mount it on a path of your server.
 */
export function metricsHandler(registry: MetricRegistry, options: MetricsHandlerOptions = {}): RequestHandler {
  return (request, response) => {
    serve(registry, options, request, response).catch(() => response.destroy());
  };
}

async function serve(
  registry: MetricRegistry,
  options: MetricsHandlerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.writeHead(405, { allow: 'GET, HEAD' }).end();
    return;
  }
  if (options.authorize !== undefined && !(await isAllowed(options.authorize, request))) {
    response.writeHead(401).end();
    return;
  }
  const { contentType, body } = registry.expose({
    accept: request.headers.accept,
    timeoutMs: collectorTimeoutMs(request.headers['x-prometheus-scrape-timeout-seconds']),
  });
  const gzip = /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''));
  response.writeHead(200, {
    'content-type': contentType,
    'cache-control': 'no-store',
    vary: 'accept, accept-encoding',
    ...(gzip ? { 'content-encoding': 'gzip' } : {}),
  });
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  const format = contentType.startsWith('application/openmetrics-text') ? 'openmetrics' : 'text';
  await traced('mnops:monitoring:scrape', { format }, async (fields) => {
    const chunks = Readable.from(counted(body, (bytes) => Object.assign(fields, { bytes })));
    if (gzip) await pipeline(chunks, createGzip({ level: constants.Z_BEST_SPEED }), response);
    else await pipeline(chunks, response);
  });
}

/** Passes chunks on, and tells at their end how many bytes they were. */
async function* counted(body: AsyncIterable<Uint8Array>, tell: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    yield chunk;
  }
  tell(bytes);
}

/** Fails closed: only a plain `true` lets a request in. */
async function isAllowed(
  authorize: NonNullable<MetricsHandlerOptions['authorize']>,
  request: IncomingMessage,
): Promise<boolean> {
  try {
    return (await authorize(request)) === true;
  } catch {
    return false;
  }
}

/** A little less than the scraper waits, so that late collectors are left out and the rest arrives. */
function collectorTimeoutMs(header: string | string[] | undefined): number {
  const seconds = Number(header);
  return Number.isFinite(seconds) && seconds > 0 ? Math.max(100, Math.min(seconds * 900, 60_000)) : 10_000;
}
