import { coreError } from '@mnops/core';
import type { ServiceIdentity, SpanAttributes } from '@mnops/core/spi';
import type { Context, Span as OtelSpan, Tracer } from '@opentelemetry/api';
import type { ResolvedConfig } from '../config.js';
import type { InputWarnings } from '../manager/input-warnings.js';
import type { HeaderCarrier, HeaderTarget } from '../propagation/carrier.js';
import type { Decisions } from './deciding-tracer.js';
import { idleSpan, idleTracer } from './idle-tracer.js';
import type { OperationSpans } from './operation-spans.js';
import type { OtelRuntime } from './otel-compat.js';
import type { ReadableSpanLike } from './recorded-span.js';
import { isOddContext, isOddStart, isOddTrace, startSpanSchema, traceSchema } from './span-input.js';
import { isContext, kindNumber, type SpanOptions } from './span-options.js';

/** A span processor as OpenTelemetry's SDK (2.x and 3.x) takes them. */
export interface SpanProcessorLike {
  onStart(span: unknown, parentContext: unknown): void;
  onEnd(span: ReadableSpanLike): void;
  forceFlush(): Promise<void>;
  shutdown(): Promise<void>;
}

/** What is called with each finished span; times in epoch milliseconds, `nowMs` in monotonic ones. */
export type SpanListener = (
  span: ReadableSpanLike,
  resource: SpanAttributes,
  endMs: number,
  durationMs: number,
  nowMs: number,
) => void;

/** What tracing asks and tells where spans begin. */
export interface SpanBeginnings {
  readonly decisions: Decisions;
  /** A recorded span began. */
  begun(span: Pick<ReadableSpanLike, 'spanContext' | 'parentSpanContext'>): void;
}

/** Milliseconds that a finished span waits at most for the listener while nobody asks for it. */
const settleMs = 20;
/** Spans that wait until the next turn of the event loop takes them; and until the span that ends takes them. */
const manyWaiting = 256;
const tooManyWaiting = 2_048;

/** A span with the means to run something inside it. */
export interface BegunSpan {
  readonly span: OtelSpan;
  readonly within: <T>(run: () => T) => T;
}

/** Spans of this process so far. */
export interface SpanCounts {
  /** Spans that began here and are recorded. `started` is always `ended + open`. */
  readonly started: number;
  readonly ended: number;
  readonly open: number;
  /** Finished spans taken from a foreign SDK through `spanProcessor`. */
  readonly joined: number;
  /** Finished spans that could not be read, and were left out. */
  readonly unreadable: number;
}

/** The tracing half of the manager: OpenTelemetry between `start` and `stop`, nothing before and after. */
export class Tracing {
  /** Follows start and stop, so it may be taken early and kept. */
  readonly tracer: Tracer;
  readonly #config: ResolvedConfig;
  readonly #listener: SpanListener;
  readonly #beginnings: SpanBeginnings;
  readonly #input: InputWarnings;
  readonly #resource: SpanAttributes;
  readonly #idle: Tracer = idleTracer();
  #runtime: OtelRuntime | undefined;
  /** Finished spans that the listener has not had, and the resource of each. */
  #waiting: ReadableSpanLike[] = [];
  #resources: SpanAttributes[] = [];
  #timer: NodeJS.Timeout | undefined;
  readonly #operations: OperationSpans[] = [];
  #started = 0;
  #ended = 0;
  #joined = 0;
  #unreadable = 0;

  constructor(config: ResolvedConfig, beginnings: SpanBeginnings, input: InputWarnings, listener: SpanListener) {
    this.#config = config;
    this.#beginnings = beginnings;
    this.#input = input;
    this.#listener = listener;
    this.#resource = Object.freeze(resourceOf(config.service));
    this.tracer = {
      startSpan: (name, options, context) => {
        this.#look('startSpan', name, options, context);
        return this.#current.startSpan(name, options, context);
      },
      startActiveSpan: (...parameters: unknown[]) => {
        const [name, options, context] = parameters.slice(0, -1);
        this.#look('startActiveSpan', name, options, context);
        return (this.#current.startActiveSpan as (...all: unknown[]) => unknown)(...parameters) as never;
      },
    };
  }

  /** OpenTelemetry, while tracing runs. */
  get runtime(): OtelRuntime | undefined {
    return this.#runtime;
  }

  get counts(): SpanCounts {
    return {
      started: this.#started,
      ended: this.#ended,
      open: this.#started - this.#ended,
      joined: this.#joined,
      unreadable: this.#unreadable,
    };
  }

  get #current(): Tracer {
    return this.#runtime?.tracer ?? this.#idle;
  }

  #look(call: 'startSpan' | 'startActiveSpan', name: unknown, options: unknown, context: unknown): void {
    if (this.#runtime === undefined) this.#input.early(call);
    if (typeof name === 'string' && !isOddStart(options) && !isOddContext(context)) return;
    this.#input.odd(call, startSpanSchema, { name, options: options ?? undefined, context });
  }

  async start(): Promise<void> {
    if (this.#runtime !== undefined) return;
    const [{ loadOtel }, { operationSpans }] = await Promise.all([
      import('./otel-compat.js'),
      import('./operation-spans.js'),
    ]).catch((cause: unknown) => {
      throw missingApi(cause);
    });
    const { spanLimits, propagators, registerGlobals, traceOperations } = this.#config;
    const carryOperations = (): void => {
      // Those under way end as they began.
      this.#operations.at(-1)?.pause();
      if (this.#runtime !== undefined) this.#operations.push(operationSpans(this.#runtime, traceOperations));
    };
    this.#runtime = await loadOtel({
      resource: this.#resource as Record<string, string>,
      limits: spanLimits,
      propagators,
      registerGlobals,
      decisions: this.#beginnings.decisions,
      onStart: (span) => {
        this.#started += 1;
        this.#beginnings.begun(span);
      },
      onEnd: (span) => {
        this.#ended += 1;
        this.#wait(span, this.#resource);
      },
      onStorage: carryOperations,
    }).catch((cause: unknown) => {
      throw missingApi(cause);
    });
    carryOperations();
  }

  stop(): void {
    for (const operations of this.#operations.splice(0)) operations.end();
    this.settle();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#runtime?.release();
    this.#runtime = undefined;
  }

  /** Begins a span; before `start` and after `stop` it records nothing. Never throws. */
  begin(name: string, options: SpanOptions | undefined, run: unknown): BegunSpan {
    const runtime = this.#runtime;
    if (typeof name !== 'string' || typeof run !== 'function' || isOddTrace(options)) {
      this.#input.odd('trace', traceSchema, { name, options: options ?? undefined, run });
    }
    if (runtime === undefined) {
      this.#input.early('trace');
      return { span: idleSpan(), within: (work) => work() };
    }
    const { kind, attributes, parent, links, root = false } = readable(options);
    let context = runtime.activeContext();
    try {
      if (parent !== undefined && parent !== null) context = isContext(parent) ? parent : runtime.extract(parent);
    } catch {
      // A parent that cannot be read begins a new trace.
      context = runtime.rootContext;
    }
    const span = runtime.tracer.startSpan(
      name,
      {
        kind: kindNumber(kind),
        root,
        ...(attributes === undefined ? {} : { attributes: attributes as Record<string, string> }),
        ...(links === undefined ? {} : { links: [...links] }),
      },
      context,
    );
    return { span, within: (run) => runtime.withContext(runtime.withSpan(context, span), run) };
  }

  /** Writes the headers of a context; without one, of the active span. Never throws. */
  inject(headers: HeaderTarget, context?: Context): void {
    try {
      this.#runtime?.inject(headers, context ?? this.#runtime.activeContext());
    } catch {
      // Headers that cannot be written leave the request as it was.
    }
  }

  /** The context that headers carry, an empty one when they cannot be read; `undefined` while not started. Never throws. */
  extract(headers: HeaderCarrier): Context | undefined {
    try {
      return this.#runtime?.extract(headers);
    } catch {
      return this.#runtime?.rootContext;
    }
  }

  /** Records the spans of an SDK that is not ours. */
  processor(flush: () => Promise<void>): SpanProcessorLike {
    const resources = new WeakMap<object, SpanAttributes>();
    return {
      onStart: (span) => {
        if (this.#runtime === undefined) return;
        try {
          this.#beginnings.begun(span as ReadableSpanLike);
        } catch {
          // It is counted when it ends.
        }
      },
      onEnd: (span) => {
        if (this.#runtime === undefined) {
          this.#input.early('spanProcessor');
          return;
        }
        try {
          let resource = resources.get(span.resource);
          if (resource === undefined) {
            resource = { ...this.#resource, ...(span.resource.attributes as SpanAttributes) };
            resources.set(span.resource, resource);
          }
          this.#joined += 1;
          this.#wait(span, resource);
        } catch {
          this.#unreadable += 1;
        }
      },
      forceFlush: flush,
      // The SDK that shuts down is not the owner of this manager.
      shutdown: flush,
    };
  }

  /** Hands the finished spans that wait to the listener. Whoever reads what it makes of them calls this before. */
  settle(): void {
    if (this.#waiting.length === 0) return;
    const spans = this.#waiting;
    const resources = this.#resources;
    // Replaced first: a listener may ask for figures and so come back here.
    this.#waiting = [];
    this.#resources = [];
    const nowMs = this.#config.clock.monotonic();
    for (let i = 0; i < spans.length; i += 1) {
      this.#hand(spans[i] as ReadableSpanLike, resources[i] as SpanAttributes, nowMs);
    }
  }

  /** The end of a span runs inside the user's work, so all that can wait is done after it, many spans at a time. */
  #wait(span: ReadableSpanLike, resource: SpanAttributes): void {
    this.#resources.push(resource);
    const count = this.#waiting.push(span);
    if (count === 1) this.#wake();
    else if (count === manyWaiting) setImmediate(() => this.settle());
    else if (count >= tooManyWaiting) this.settle();
  }

  #wake(): void {
    // One timer for ever: making one costs more than a span.
    if (this.#timer === undefined) this.#timer = setTimeout(() => this.settle(), settleMs).unref();
    else this.#timer.refresh();
  }

  #hand(span: ReadableSpanLike, resource: SpanAttributes, nowMs: number): void {
    try {
      const durationMs = span.duration[0] * 1e3 + span.duration[1] / 1e6;
      const endMs = span.startTime[0] * 1e3 + span.startTime[1] / 1e6 + durationMs;
      this.#listener(span, resource, endMs, durationMs, nowMs);
    } catch {
      // One span that cannot be read must not cost the others.
      this.#unreadable += 1;
    }
  }
}

/** The identity under OpenTelemetry's names. */
function resourceOf(service: ServiceIdentity): Record<string, string> {
  const named = {
    'service.name': service.name,
    'service.namespace': service.namespace,
    'service.version': service.version,
    'service.instance.id': service.instance,
    'deployment.environment.name': service.environment,
    'mnops.revision': service.revision,
  };
  const given = Object.entries(named).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return { ...service.attributes, ...Object.fromEntries(given) };
}

function missingApi(cause: unknown): unknown {
  const { code, message } = (cause ?? {}) as { code?: unknown; message?: unknown };
  const missing = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
  if (!missing || !String(message).includes('@opentelemetry/api')) return cause;
  return coreError('MNOPS_CORE_DEPENDENCY_MISSING', 'Tracing needs @opentelemetry/api.', {
    remedy: 'Run `npm install @opentelemetry/api@1.9`.',
    cause,
  });
}

/** The options as plain values; none of them when a getter or a proxy throws. */
function readable(options: SpanOptions | null | undefined): SpanOptions {
  try {
    const { kind, attributes, parent, links, root } = options ?? {};
    return { kind, attributes, parent, root, links: Array.isArray(links) ? [...links] : undefined };
  } catch {
    return {};
  }
}
