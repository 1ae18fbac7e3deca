import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import https from 'node:https';
import { type Attributes, type Context, createContextKey, type Span, trace } from '@opentelemetry/api';
import {
  type ActiveInstrumentation,
  announce,
  errorStatus,
  hookFailed,
  ignores,
  isOfficial,
  layOver,
  serverKind,
  watchEvents,
  withoutDeadLayers,
} from './instrumentation.js';
import {
  errorType,
  type HttpRequestFacts,
  known,
  methodAttributes,
  spanName,
  splitHost,
  splitTarget,
} from './request-facts.js';

/** Events with which Node hands a request to a server. */
const requestEvents = new Set<unknown>(['request', 'checkContinue', 'checkExpectation']);
/** Set on a request that has its span, also by another copy of this package. */
const seen = Symbol.for('mnops.apm.http.seen');
/** OpenTelemetry's own keys: its instrumentations of frameworks write the route into the one, and look at the other. */
const rpcKey = createContextKey('OpenTelemetry SDK Context Key RPC_METADATA');
const suppressKey = createContextKey('OpenTelemetry SDK Context Key SUPPRESS_TRACING');

type Emit = (this: unknown, event: string | symbol, ...values: unknown[]) => boolean;
interface Prototype {
  emit: Emit;
}

/**
 * Makes spans of the requests to all servers of `node:http` and `node:https`. It wraps `emit` of the two classes rather
 * than listening to `http.server.request.start`, because only a wrapper can run the listeners inside a context whoever
 * owns the context manager.
 *
 * @returns Undoes it.
 */
export function instrumentServers(instrumentation: ActiveInstrumentation): () => void {
  const undo = [http.Server, https.Server].map((server) =>
    wrapEmit(server.prototype as unknown as Prototype, server === https.Server ? 'https' : 'http', instrumentation),
  );
  return () => {
    for (const one of undo) one();
  };
}

function wrapEmit(prototype: Prototype, scheme: 'http' | 'https', instrumentation: ActiveInstrumentation): () => void {
  const original = withoutDeadLayers(prototype.emit);
  const emit: Emit = function (this: unknown, event, ...values) {
    const pass = (): boolean => Reflect.apply(original, this, [event, ...values]) as boolean;
    const [request, response] = values as [IncomingMessage & { [seen]?: true }, ServerResponse];
    if (!requestEvents.has(event) || !instrumentation.active || request?.[seen] === true) return pass();
    if (isOfficial(prototype.emit) || isOfficial(original)) return pass();
    let enter: ((run: () => boolean) => boolean) | undefined;
    try {
      enter = begin(instrumentation, request, response, scheme);
    } catch {
      // A request that cannot be described is served without a span.
    }
    return enter === undefined ? pass() : enter(pass);
  };
  const undone = layOver(emit, original);
  setEmit(prototype, emit);
  return () => {
    undone();
    setEmit(prototype, withoutDeadLayers(prototype.emit));
  };
}

function setEmit(prototype: Prototype, emit: Emit): void {
  const inherited = (Object.getPrototypeOf(prototype) as Prototype | null)?.emit;
  if (emit === inherited) Reflect.deleteProperty(prototype, 'emit');
  else Object.defineProperty(prototype, 'emit', { value: emit, configurable: true, writable: true, enumerable: false });
}

/** @returns Runs the listeners inside the span; what they throw passes through. */
function begin(
  instrumentation: ActiveInstrumentation,
  request: IncomingMessage & { [seen]?: true },
  response: ServerResponse,
  scheme: 'http' | 'https',
): (run: () => boolean) => boolean {
  const { apm } = instrumentation;
  const facts = incomingFacts(request, scheme);
  Object.defineProperty(request, seen, { value: true, enumerable: false });
  const caller = apm.extract(request.headersDistinct);
  if (ignores(instrumentation, facts)) {
    return inside(instrumentation, caller.setValue(suppressKey, true), request, response, () => undefined);
  }
  const metadata: { type: 'http'; span?: Span; route?: string } = { type: 'http' };
  const context = caller.setValue(rpcKey, metadata);
  const span = apm.tracer.startSpan(
    spanName(facts.method),
    { kind: serverKind, attributes: incomingAttributes(request, facts) },
    context,
  );
  metadata.span = span;
  announce(instrumentation, span, facts);
  let thrown = false;
  const ended = (): void => {
    const route = routeOf(instrumentation, request) ?? metadata.route;
    if (route !== undefined) {
      span.setAttribute('http.route', route);
      span.updateName(spanName(facts.method, route));
    }
    describeAnswer(span, response, thrown);
    span.end();
  };
  const enter = inside(instrumentation, trace.setSpan(context, span), request, response, ended);
  return (run) => {
    try {
      return enter(run);
    } catch (error) {
      thrown = true;
      span.recordException(error as Error);
      span.setAttribute('error.type', errorType(error));
      span.setStatus({ code: errorStatus });
      throw error;
    }
  };
}

/**
 * Runs listeners of a request and its answer inside a context. Later events, such as the end of the body, come from the
 * connection and would be outside of it.
 */
function inside(
  { apm }: ActiveInstrumentation,
  context: Context,
  request: IncomingMessage,
  response: ServerResponse,
  ended: () => void,
): (run: () => boolean) => boolean {
  const enter = (run: () => boolean): boolean => apm.withContext(context, run);
  let open = true;
  watchEvents(request, (_event, _values, pass) => enter(pass));
  watchEvents(response, (event, _values, pass) => {
    if (event === 'close' && open) {
      open = false;
      ended();
    }
    return enter(pass);
  });
  return enter;
}

function incomingFacts(request: IncomingMessage, scheme: 'http' | 'https'): HttpRequestFacts {
  const authority = splitHost(request.headers.host ?? '');
  const { localAddress, localPort } = request.socket;
  return {
    direction: 'incoming',
    method: request.method ?? 'GET',
    scheme,
    host: authority.host === '' ? (localAddress ?? '') : authority.host,
    port: authority.port ?? (authority.host === '' ? localPort : undefined),
    ...splitTarget(request.url ?? '/'),
  };
}

function incomingAttributes(request: IncomingMessage, facts: HttpRequestFacts): Attributes {
  const { remoteAddress, remotePort } = request.socket;
  const forwarded = request.headers['x-forwarded-for'];
  const client = typeof forwarded === 'string' ? forwarded.split(',', 1)[0]?.trim() : undefined;
  return {
    ...methodAttributes(facts.method),
    ...known({
      'url.scheme': facts.scheme,
      'url.path': facts.path,
      'url.query': facts.query,
      'server.address': facts.host,
      'server.port': facts.port,
      'client.address': client || remoteAddress,
      'network.peer.address': remoteAddress,
      'network.peer.port': remotePort,
      'network.protocol.version': request.httpVersion,
      'user_agent.original': request.headers['user-agent'],
    }),
  };
}

function describeAnswer(span: Span, response: ServerResponse, thrown: boolean): void {
  const { statusCode, headersSent, writableFinished } = response;
  if (headersSent) span.setAttribute('http.response.status_code', statusCode);
  // What was thrown says more than how the answer ended because of it.
  if (thrown) return;
  if (headersSent && statusCode >= 500) {
    span.setAttribute('error.type', String(statusCode));
    span.setStatus({ code: errorStatus });
  } else if (!writableFinished) {
    span.setAttribute('error.type', 'aborted');
    span.setStatus({ code: errorStatus, message: 'The connection ended before the answer did.' });
  }
}

function routeOf(instrumentation: ActiveInstrumentation, request: IncomingMessage): string | undefined {
  const { route: ownRoute } = instrumentation.options;
  try {
    if (ownRoute !== undefined) return ownRoute(request);
    const { route, baseUrl } = request as { route?: { path?: unknown }; baseUrl?: unknown };
    if (typeof route?.path !== 'string') return undefined;
    return `${typeof baseUrl === 'string' ? baseUrl : ''}${route.path}`;
  } catch (error) {
    if (ownRoute !== undefined) hookFailed(instrumentation, 'route', error);
    return undefined;
  }
}
