import type { Span, SpanAttributes } from '@mnops/core/spi';
import { type ReadableSpanLike, RecordedSpan } from '../tracing/recorded-span.js';
import { AttributeShapes, firstOf, keysOf, type Shape } from './attribute-shapes.js';
import { readWords, writeWords } from './hex-words.js';

/** Spans of one block. A power of two. */
const blockSpans = 256;
/** Empty blocks kept for the next spans. */
const maxSpare = 4;
/** A block that grew beyond this many attribute values is not used again. */
const maxSpareValues = 16_384;
/** A span beside its texts, as measured on many: its part of the columns. */
const columnBytes = 160;

/** Where a span is: number of its block times `blockSpans` plus its row. */
export type SpanPlace = number;
/** Says that there is no further span. */
export const noPlace: SpanPlace = -1;

/** Columns of up to 256 spans. Few large arrays, because the collector of garbage has to follow every object. */
class Block {
  number: number;
  used = 0;
  live = 0;
  valueCount = 0;
  readonly names: (string | undefined)[] = column();
  readonly resources: (SpanAttributes | undefined)[] = column();
  readonly scopes: (ReadableSpanLike['instrumentationScope'] | undefined)[] = column();
  readonly shapes: (Shape | undefined)[] = column();
  /** Spans that the columns have no room for: from other processes, with events, with a message. */
  readonly whole: (Span | undefined)[] = column();
  /** Attribute values of all spans, one after the other. */
  readonly values: unknown[] = [];
  readonly firstValue: Int32Array = new Int32Array(blockSpans);
  /** Seconds and nanoseconds of the start, then of the duration. */
  readonly times: Float64Array = new Float64Array(4 * blockSpans);
  /** Two words of the span's id, then two of its parent's. */
  readonly ids: Uint32Array = new Uint32Array(4 * blockSpans);
  readonly next: Float64Array = new Float64Array(blockSpans);
  readonly traceFlags: Uint8Array = new Uint8Array(blockSpans);
  /** Kind, status and what is known of the parent; see `bitsOf`. */
  readonly bits: Uint8Array = new Uint8Array(blockSpans);

  constructor(number: number) {
    this.number = number;
  }

  clear(): void {
    this.values.fill(undefined, 0, this.valueCount);
    for (const texts of [this.names, this.resources, this.scopes, this.shapes, this.whole]) texts.fill(undefined);
    this.used = 0;
    this.valueCount = 0;
  }
}

function column(): undefined[] {
  return new Array<undefined>(blockSpans).fill(undefined);
}

/**
 * Holds finished spans in columns, out of the way of the garbage collector: a span of the SDK is a dozen objects, and
 * to keep ten thousand of them moving through the collector costs more than to make them.
 */
export class SpanBlocks {
  readonly #shapes = new AttributeShapes();
  #lastShape: Shape = this.#shapes.renew();
  readonly #blocks = new Map<number, Block>();
  readonly #spare: Block[] = [];
  readonly #wanted = new Uint32Array(2);
  #current: Block;
  /** The block that was asked for last. */
  #recent: Block | undefined;
  #nextNumber = 0;
  /** Estimated bytes of the span that was added last. */
  lastBytes = 0;

  constructor() {
    this.#current = this.#begin();
  }

  /**
   * Keeps a span that has ended. What may throw is read before anything is counted.
   *
   * @returns `noPlace` when it does not fit into columns.
   */
  add(span: ReadableSpanLike, resource: SpanAttributes): SpanPlace {
    const context = span.spanContext();
    const { status, parentSpanContext: parent, startTime, duration, idWords } = span;
    if (!fitsColumns(span, context.traceState)) return noPlace;
    const block = this.#room();
    const { values, ids } = block;
    const row = block.used;
    if (idWords !== undefined) {
      ids[row * 4] = idWords.span0;
      ids[row * 4 + 1] = idWords.span1;
      ids[row * 4 + 2] = idWords.parent0;
      ids[row * 4 + 3] = idWords.parent1;
    } else if (!writeWords(context.spanId, ids, row * 4, 2)) return noPlace;
    else if (parent !== undefined && !writeWords(parent.spanId, ids, row * 4 + 2, 2)) return noPlace;
    // Most spans have the names of the one before; only where they part the table is asked.
    const guess = this.#lastShape;
    const keys = keysOf(guess);
    let shape: Shape | undefined;
    let end = block.valueCount;
    let bytes = columnBytes + span.name.length;
    let count = 0;
    const { attributes } = span;
    for (const key in attributes) {
      if (shape !== undefined) shape = this.#shapes.with(shape, key);
      else if (keys[count] !== key) shape = this.#shapes.with(firstOf(guess, count), key);
      count += 1;
      const value = attributes[key];
      values[end] = value;
      end += 1;
      bytes += typeof value === 'string' ? value.length + 32 : sizeOfValue(value);
    }
    shape ??= firstOf(guess, count);
    this.#lastShape = this.#shapes.isFull ? this.#shapes.renew() : shape;
    block.shapes[row] = shape;
    block.firstValue[row] = block.valueCount;
    block.valueCount = end;
    block.names[row] = span.name;
    block.resources[row] = resource;
    block.scopes[row] = span.instrumentationScope;
    block.traceFlags[row] = context.traceFlags;
    block.bits[row] = bitsOf(span.kind, status.code, parent);
    const { times } = block;
    times[row * 4] = startTime[0];
    times[row * 4 + 1] = startTime[1];
    times[row * 4 + 2] = duration[0];
    times[row * 4 + 3] = duration[1];
    this.lastBytes = bytes;
    return this.#taken(block);
  }

  /** Keeps a span as it is. */
  addWhole(span: Span): SpanPlace {
    const block = this.#room();
    block.whole[block.used] = span;
    return this.#taken(block);
  }

  /** The span that comes after this one in its trace. */
  next(place: SpanPlace): SpanPlace {
    return this.#blockOf(place)?.next[place % blockSpans] ?? noPlace;
  }

  link(place: SpanPlace, next: SpanPlace): void {
    const block = this.#blockOf(place);
    if (block !== undefined) block.next[place % blockSpans] = next;
  }

  /** Whether the span at a place has this id. */
  hasId(place: SpanPlace, spanId: string): boolean {
    const block = this.#blockOf(place);
    const row = place % blockSpans;
    const whole = block?.whole[row];
    if (block === undefined || whole !== undefined) return whole?.spanId === spanId;
    const wanted = this.#wanted;
    if (!writeWords(spanId, wanted, 0, 2)) return false;
    return block.ids[row * 4 + 1] === wanted[1] && block.ids[row * 4] === wanted[0];
  }

  /** The span at a place. */
  read(place: SpanPlace, traceId: string): Span | undefined {
    const block = this.#blockOf(place);
    const row = place % blockSpans;
    const whole = block?.whole[row];
    if (whole !== undefined || block?.shapes[row] === undefined) return whole;
    return new RecordedSpan(readableAt(block, row, traceId), block.resources[row] as SpanAttributes);
  }

  /** Lets the span at a place go; it stays in memory until its whole block is free. */
  release(place: SpanPlace): void {
    const block = this.#blockOf(place);
    if (block === undefined) return;
    block.live -= 1;
    if (block.live === 0 && block !== this.#current) this.#free(block);
  }

  /** Lets the span at a place go, and its texts at once. @returns The span that came after it in its trace. */
  remove(place: SpanPlace): SpanPlace {
    const block = this.#blockOf(place);
    if (block === undefined) return noPlace;
    const row = place % blockSpans;
    const next = block.next[row] as number;
    block.whole[row] = undefined;
    const shape = block.shapes[row];
    if (shape !== undefined) {
      const first = block.firstValue[row] as number;
      block.values.fill(undefined, first, first + shape.size);
      block.shapes[row] = undefined;
      block.names[row] = undefined;
      block.resources[row] = undefined;
      block.scopes[row] = undefined;
    }
    block.live -= 1;
    if (block.live === 0 && block !== this.#current) this.#free(block);
    return next;
  }

  #blockOf(place: SpanPlace): Block | undefined {
    const number = Math.floor(place / blockSpans);
    if (this.#recent?.number === number) return this.#recent;
    this.#recent = this.#blocks.get(number);
    return this.#recent;
  }

  #room(): Block {
    if (this.#current.used < blockSpans) return this.#current;
    const full = this.#current;
    this.#current = this.#begin();
    if (full.live === 0) this.#free(full);
    return this.#current;
  }

  #taken(block: Block): SpanPlace {
    const row = block.used;
    block.next[row] = noPlace;
    block.used += 1;
    block.live += 1;
    return block.number * blockSpans + row;
  }

  #begin(): Block {
    const block = this.#spare.pop() ?? new Block(0);
    block.number = this.#nextNumber;
    this.#nextNumber += 1;
    this.#blocks.set(block.number, block);
    return block;
  }

  #free(block: Block): void {
    this.#blocks.delete(block.number);
    if (this.#recent === block) this.#recent = undefined;
    if (this.#spare.length >= maxSpare || block.values.length > maxSpareValues) return;
    block.clear();
    this.#spare.push(block);
  }
}

/** Whether the columns can say all that there is to say about a span. */
function fitsColumns(span: ReadableSpanLike, traceState: unknown): boolean {
  const { droppedAttributesCount = 0, droppedEventsCount = 0, droppedLinksCount = 0 } = span;
  return (
    span.events.length === 0 &&
    span.links.length === 0 &&
    span.status.message === undefined &&
    traceState === undefined &&
    droppedAttributesCount + droppedEventsCount + droppedLinksCount === 0
  );
}

type ParentLike = ReadableSpanLike['parentSpanContext'];

/** Three bits of kind, two of status, two of the parent: none, one, one here, one in another process. */
function bitsOf(kind: number, status: number, parent: ParentLike): number {
  return (kind & 7) | ((status & 3) << 3) | (parentBits(parent) << 5);
}

function parentBits(parent: ParentLike): number {
  if (parent === undefined) return 0;
  if (parent.isRemote === undefined) return 1;
  return parent.isRemote ? 3 : 2;
}

function parentAt(block: Block, row: number): ParentLike {
  const bits = (block.bits[row] as number) >> 5;
  if (bits === 0) return undefined;
  const spanId = readWords(block.ids, row * 4 + 2, 2);
  return bits === 1 ? { spanId } : { spanId, isRemote: bits === 3 };
}

function readableAt(block: Block, row: number, traceId: string): ReadableSpanLike {
  const bits = block.bits[row] as number;
  const time = (from: number): [number, number] => [
    block.times[row * 4 + from] as number,
    block.times[row * 4 + from + 1] as number,
  ];
  const context = { traceId, spanId: readWords(block.ids, row * 4, 2), traceFlags: block.traceFlags[row] as number };
  return {
    name: block.names[row] as string,
    kind: bits & 7,
    spanContext: () => context,
    parentSpanContext: parentAt(block, row),
    startTime: time(0),
    duration: time(2),
    status: { code: (bits >> 3) & 3 },
    attributes: attributesAt(block, row),
    events: [],
    links: [],
    resource: { attributes: {} },
    instrumentationScope: block.scopes[row] as ReadableSpanLike['instrumentationScope'],
  };
}

function attributesAt(block: Block, row: number): Record<string, unknown> {
  const attributes: Record<string, unknown> = {};
  const first = block.firstValue[row] as number;
  keysOf(block.shapes[row] as Shape).forEach((key, index) => {
    attributes[key] = block.values[first + index];
  });
  return attributes;
}

/** Estimated bytes of an attribute's value that is not a text. */
function sizeOfValue(value: unknown): number {
  if (!Array.isArray(value)) return 24;
  let bytes = 40;
  for (const item of value) bytes += typeof item === 'string' ? item.length + 32 : 8;
  return bytes;
}
