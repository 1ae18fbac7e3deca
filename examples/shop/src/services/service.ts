import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { PerformanceMonitoringManager } from '@mnops/apm';
import { otlp } from '@mnops/apm/otlp';
import { LogAggregationManager, type Logger } from '@mnops/logging';
import { httpMetrics, MonitoringStackManager, metricsHandler } from '@mnops/monitoring';

/** What a route answers. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** A request as a route sees it. */
export interface ShopRequest {
  /** What stood for `:name` in the route. */
  readonly parameter: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  json(): Promise<unknown>;
}

/** Routes by method and template, such as `GET /products/:sku`. */
export type Routes = Readonly<Record<string, (request: ShopRequest) => Promise<Answer>>>;

/** A service with everything MNOps gives it in the process. */
export interface Service {
  readonly log: Logger;
  readonly apm: PerformanceMonitoringManager;
  readonly monitoring: MonitoringStackManager;
  /** Calls another service by name; the trace goes along. */
  call(
    service: string,
    method: string,
    url: string,
    options?: { headers?: Record<string, string>; body?: unknown },
  ): Promise<Answer>;
  /** Listens on the port that the orchestrator gave, and ends on SIGTERM after the requests under way. */
  serve(routes: Routes, options: { ready(): Promise<boolean>; stop(): Promise<void> }): Promise<void>;
}

/** Makes a service of this process: its name, version and instance come from the environment that the orchestrator sets. */
export async function startService(): Promise<Service> {
  const logs = new LogAggregationManager({ store: false, processHooks: true });
  const apm = new PerformanceMonitoringManager({
    exporters: [otlp({ url: required('SHOP_TRACES_URL') })],
    processHooks: true,
  });
  const monitoring = new MonitoringStackManager();
  await Promise.all([logs.start(), apm.start(), monitoring.start()]);
  const log = logs.logger(required('MNOPS_SERVICE'));
  const agent = new Agent({ keepAlive: true, maxSockets: 128 });
  const call: Service['call'] = (service, method, url, options = {}) =>
    apm.trace(`${method} ${service}`, { kind: 'client', attributes: { 'peer.service': service } }, async (span) => {
      const headers: Record<string, string> = { ...options.headers };
      apm.inject(headers);
      const answer = await exchange(agent, method, url, headers, options.body);
      span.setAttribute('http.response.status_code', answer.status);
      if (answer.status >= 500) span.setStatus({ code: 2 });
      return answer;
    });
  return {
    log,
    apm,
    monitoring,
    call,
    serve: async (routes, { ready, stop }) => {
      const answer = router(routes, { apm, log, monitoring, ready });
      const server = createServer(
        httpMetrics(monitoring.metrics, answer, { route: ({ url }) => templateOf(routes, url) }),
      );
      // Longer than the proxy keeps an idle connection, so that it is always the proxy that closes one.
      server.keepAliveTimeout = 65_000;
      server.listen(Number(required('PORT')), process.env['HOST'] ?? '127.0.0.1', () => log.info('listening'));
      process.once('SIGTERM', () => {
        server.close(() => {
          agent.destroy();
          void Promise.all([stop(), apm.stop(), monitoring.stop()]).then(() => logs.stop());
        });
        server.closeIdleConnections();
      });
    },
  };
}

/** A variable that the operator must have set. */
export function required(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') throw new Error(`The environment variable ${name} is missing.`);
  return value;
}

interface RouterContext {
  readonly apm: PerformanceMonitoringManager;
  readonly log: Logger;
  readonly monitoring: MonitoringStackManager;
  ready(): Promise<boolean>;
}

function router(routes: Routes, context: RouterContext): (request: IncomingMessage, response: ServerResponse) => void {
  const scrape = metricsHandler(context.monitoring.metrics);
  return (incoming, response) => {
    if (incoming.url === '/metrics') {
      scrape(incoming, response);
      return;
    }
    if (incoming.url === '/ready') {
      void context.ready().then((ok) => response.writeHead(ok ? 200 : 503).end());
      return;
    }
    void serveRoute(routes, context, incoming).then(({ status, body }) => {
      const text = JSON.stringify(body);
      response
        .writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
        .end(text);
    });
  };
}

/** One request in a span of its own; a failure is logged inside it, so that the line carries the trace. */
function serveRoute(routes: Routes, { apm, log }: RouterContext, incoming: IncomingMessage): Promise<Answer> {
  const template = templateOf(routes, incoming.url);
  const key = `${incoming.method} ${template}`;
  const attributes = { 'http.request.method': incoming.method ?? '', 'http.route': template };
  return apm.trace(key, { kind: 'server', parent: incoming.headers, attributes }, async (span) => {
    let answer: Answer;
    try {
      const route = routes[key];
      answer =
        route === undefined
          ? { status: 404, body: { error: 'no such route' } }
          : await route({
              parameter: incoming.url?.split('/')[2] ?? '',
              headers: incoming.headers,
              json: async () => JSON.parse(await text(incoming)) as unknown,
            });
      if (answer.status >= 500) log.warn('passing a failure on', { route: key, status: answer.status });
    } catch (error) {
      log.error(error as Error, 'request failed', { route: key });
      span.recordException(error as Error);
      answer = { status: 500, body: { error: 'internal' } };
    }
    span.setAttribute('http.response.status_code', answer.status);
    if (answer.status >= 500) span.setStatus({ code: 2 });
    return answer;
  });
}

/** The template that a path fits, such as `/products/:sku`. */
function templateOf(routes: Routes, url = '/'): string {
  const [, first = '', second] = url.split('?', 1)[0]?.split('/') ?? [];
  const templates = Object.keys(routes).map((key) => key.split(' ')[1] ?? '');
  const wanted = second === undefined ? `/${first}` : `/${first}/:`;
  return (
    templates.find(
      (template) => template.split(':')[0] === wanted.split(':')[0] && template.includes(':') === wanted.includes(':'),
    ) ?? 'unmatched'
  );
}

async function text(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > 65_536) throw new Error('The body is over 64 KiB.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function exchange(
  agent: Agent,
  method: string,
  url: string,
  headers: Record<string, string>,
  body: unknown,
): Promise<Answer> {
  const payload = body === undefined ? undefined : JSON.stringify(body);
  if (payload !== undefined) {
    headers['content-type'] = 'application/json';
    headers['content-length'] = String(Buffer.byteLength(payload));
  }
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { agent, method, headers, timeout: 5_000 }, (response) => {
      text(response).then((answer) => resolve({ status: response.statusCode ?? 502, body: parsed(answer) }), reject);
    });
    outgoing.once('timeout', () => outgoing.destroy(new Error(`No answer from ${new URL(url).host} within 5 s.`)));
    outgoing.once('error', reject);
    outgoing.end(payload);
  });
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body) as unknown;
  } catch {
    return { error: 'not JSON' };
  }
}
