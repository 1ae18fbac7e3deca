import type {
  Attributes,
  AttributeValue,
  Exception,
  Link,
  Span,
  SpanContext,
  SpanStatus,
  TimeInput,
} from '@opentelemetry/api';

/**
 * A span of the SDK whose methods never throw, whatever they are called with: a mistake in tracing must not break the
 * work that is traced.
 */
export class GuardedSpan implements Span {
  readonly #span: Span;

  constructor(span: Span) {
    this.#span = span;
  }

  /** The SDK's own span. */
  get inner(): Span {
    return this.#span;
  }

  spanContext(): SpanContext {
    return this.#span.spanContext();
  }

  isRecording(): boolean {
    return this.#span.isRecording();
  }

  setAttribute(key: string, value: AttributeValue): this {
    try {
      this.#span.setAttribute(key, value);
    } catch {}
    return this;
  }

  setAttributes(attributes: Attributes): this {
    try {
      this.#span.setAttributes(attributes);
    } catch {}
    return this;
  }

  addEvent(name: string, attributesOrTime?: Attributes | TimeInput, time?: TimeInput): this {
    try {
      this.#span.addEvent(name, attributesOrTime, time);
    } catch {}
    return this;
  }

  addLink(link: Link): this {
    try {
      this.#span.addLink(link);
    } catch {}
    return this;
  }

  addLinks(links: Link[]): this {
    try {
      this.#span.addLinks(links);
    } catch {}
    return this;
  }

  setStatus(status: SpanStatus): this {
    try {
      this.#span.setStatus(status);
    } catch {}
    return this;
  }

  updateName(name: string): this {
    try {
      this.#span.updateName(name);
    } catch {}
    return this;
  }

  end(time?: TimeInput): void {
    try {
      this.#span.end(time);
    } catch {}
  }

  recordException(exception: Exception, time?: TimeInput): void {
    try {
      this.#span.recordException(exception, time);
    } catch {}
  }
}
