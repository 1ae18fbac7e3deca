import type { Span, SpanAttributes } from '@mnops/core/spi';
import { adjustedCountOf } from '../sampling/adjusted-count.js';
import type { CallFacts } from './call-rows.js';
import { epochMs, millisecondsOf, type Origin, originOf, type Peer, peerOf } from './span-facts.js';

/** The facts of one span after the other, in one object; of inner spans only what names them. */
export class SpanReader implements CallFacts {
  spanId = '';
  parentSpanId: string | undefined;
  kind: Span['kind'] = 'internal';
  origin: Origin = { service: '', version: undefined, instance: undefined };
  // Fractions from the start, so that the engine keeps room for doubles in the object and reading allocates nothing.
  endMs: number = Number.MIN_VALUE;
  durationMs: number = Number.MIN_VALUE;
  count: number = Number.MIN_VALUE;
  error = false;
  /** Most clients are answered, and nobody asks for their peer. */
  peerSource: Span | undefined;
  #resource: SpanAttributes | undefined;
  #span: Span | undefined;

  /** Turns to another span, and returns itself. */
  at(span: Span): this {
    const { kind, resource } = span;
    this.#span = span;
    this.kind = kind;
    this.spanId = span.spanId;
    this.parentSpanId = span.parentSpanId;
    if (resource !== this.#resource) {
      this.#resource = resource;
      this.origin = originOf(resource);
    }
    this.durationMs = millisecondsOf(span.durationNano);
    this.endMs = epochMs(span.startTimeUnixNano) + this.durationMs;
    this.error = span.status.code === 'error';
    this.count = adjustedCountOf(span);
    this.peerSource = kind === 'client' ? span : undefined;
    return this;
  }

  get peer(): Peer | undefined {
    return this.#span === undefined ? undefined : peerOf(this.#span);
  }
}
