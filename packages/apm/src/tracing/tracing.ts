import { coreError } from '@mnops/core';
import type { ServiceIdentity, Span, SpanAttributes } from '@mnops/core/spi';
import type { Context, Span as OtelSpan, Tracer } from '@opentelemetry/api';
import type { ResolvedConfig } from '../config.js';
import { idleSpan, idleTracer } from './idle-tracer.js';
import type { OtelRuntime } from './otel-compat.js';
import { type ReadableSpanLike, RecordedSpan } from './recorded-span.js';
import { isContext, kindNumber, type SpanOptions } from './span-options.js';

/** A span processor as OpenTelemetry's SDK (2.x and 3.x) takes them. */
export interface SpanProcessorLike {
  onStart(span: unknown, parentContext: unknown): void;
  onEnd(span: ReadableSpanLike): void;
  forceFlush(): Promise<void>;
  shutdown(): Promise<void>;
}

/** What is called with each finished span; times in epoch milliseconds. */
export type SpanListener = (span: Span, endMs: number, durationMs: number) => void;

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
  readonly #resource: SpanAttributes;
  readonly #idle: Tracer = idleTracer();
  #runtime: OtelRuntime | undefined;
  #started = 0;
  #ended = 0;
  #joined = 0;
  #unreadable = 0;

  constructor(config: ResolvedConfig, listener: SpanListener) {
    this.#config = config;
    this.#listener = listener;
    this.#resource = Object.freeze(resourceOf(config.service));
    this.tracer = {
      startSpan: (name, options, context) => this.#current.startSpan(name, options, context),
      startActiveSpan: (...parameters: unknown[]) =>
        (this.#current.startActiveSpan as (...all: unknown[]) => unknown)(...parameters) as never,
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

  async start(): Promise<void> {
    if (this.#runtime !== undefined) return;
    const { loadOtel } = await import('./otel-compat.js');
    const { spanLimits, registerGlobals } = this.#config;
    this.#runtime = await loadOtel({
      resource: this.#resource as Record<string, string>,
      limits: spanLimits,
      registerGlobals,
      onStart: () => {
        this.#started += 1;
      },
      onEnd: (span) => {
        this.#ended += 1;
        this.#finished(span, this.#resource);
      },
    }).catch((cause: unknown) => {
      throw missingApi(cause);
    });
  }

  stop(): void {
    this.#runtime?.release();
    this.#runtime = undefined;
  }

  /** Begins a span; before `start` and after `stop` it records nothing. Never throws. */
  begin(name: string, options: SpanOptions): BegunSpan {
    const runtime = this.#runtime;
    if (runtime === undefined) return { span: idleSpan(), within: (run) => run() };
    const { kind, attributes, parent, links, root = false } = options ?? {};
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
  inject(headers: Record<string, string>, context?: Context): void {
    try {
      this.#runtime?.inject(headers, context ?? this.#runtime.activeContext());
    } catch {
      // Headers that cannot be written leave the request as it was.
    }
  }

  /** Records the spans of an SDK that is not ours. */
  processor(flush: () => Promise<void>): SpanProcessorLike {
    const resources = new WeakMap<object, SpanAttributes>();
    return {
      onStart: () => undefined,
      onEnd: (span) => {
        if (this.#runtime === undefined) return;
        this.#joined += 1;
        let resource = resources.get(span.resource);
        if (resource === undefined) {
          resource = { ...this.#resource, ...(span.resource.attributes as SpanAttributes) };
          resources.set(span.resource, resource);
        }
        this.#finished(span, resource);
      },
      forceFlush: flush,
      // The SDK that shuts down is not the owner of this manager.
      shutdown: flush,
    };
  }

  #finished(span: ReadableSpanLike, resource: SpanAttributes): void {
    try {
      const durationMs = span.duration[0] * 1e3 + span.duration[1] / 1e6;
      const endMs = span.startTime[0] * 1e3 + span.startTime[1] / 1e6 + durationMs;
      this.#listener(new RecordedSpan(span, resource), endMs, durationMs);
    } catch {
      // The end of a span runs inside the user's work, which must not fail for it.
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
