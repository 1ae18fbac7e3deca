import type { Span, SpanContext, TraceState } from '@opentelemetry/api';
import type { IdSource } from './random-ids.js';

/** What the unsampled spans of one trace share. */
export class UnsampledTrace {
  readonly #ids: IdSource;
  #traceId: string | undefined;
  readonly traceFlags: number;
  readonly traceState: TraceState | undefined;

  /** @param traceId - Without one, it is made when somebody asks. */
  constructor(ids: IdSource, traceId: string | undefined, traceFlags: number, traceState: TraceState | undefined) {
    this.#ids = ids;
    this.#traceId = traceId;
    this.traceFlags = traceFlags;
    this.traceState = traceState;
  }

  get traceId(): string {
    this.#traceId ??= this.#ids.generateTraceId();
    return this.#traceId;
  }

  /** The context of one more span of this trace. */
  newContext(): SpanContext {
    const { traceId, traceFlags, traceState } = this;
    return {
      traceId,
      spanId: this.#ids.generateSpanId(),
      traceFlags,
      ...(traceState === undefined ? {} : { traceState }),
    };
  }
}

/** A span that records nothing and whose ids are made only when somebody asks for them: most are never asked. */
export class UnsampledSpan implements Span {
  /** Marks the span for every copy of this package. */
  readonly unsampled: UnsampledTrace;
  #context: SpanContext | undefined;

  constructor(trace: UnsampledTrace) {
    this.unsampled = trace;
  }

  spanContext(): SpanContext {
    this.#context ??= this.unsampled.newContext();
    return this.#context;
  }
  isRecording(): boolean {
    return false;
  }
  setAttribute(): this {
    return this;
  }
  setAttributes(): this {
    return this;
  }
  addEvent(): this {
    return this;
  }
  addLink(): this {
    return this;
  }
  addLinks(): this {
    return this;
  }
  setStatus(): this {
    return this;
  }
  updateName(): this {
    return this;
  }
  end(): void {}
  recordException(): void {}
}
