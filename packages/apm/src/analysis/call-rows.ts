import { spanKinds } from '../span-kinds.js';
import { type Peer, peerOf, type SpanFacts } from './span-facts.js';
import { readSpanKey, spanIdOf } from './span-key.js';

/** What a map needs to know of a span. */
export type CallFacts = Omit<SpanFacts, 'traceId' | 'operation'> & {
  /** Where the peer is read once it is needed; without it, `peer` is kept. */
  readonly peerSource?: PeerSource | undefined;
};

type PeerSource = Parameters<typeof peerOf>[0];

/** Whole numbers of one row. */
export const stride = 16;
/** Place of each in the row; the links of an index take four. */
export const column = { id: 0, parent: 2, flags: 4, byId: 5, above: 9, byAbove: 11 } as const;
/** Fractions of one row. */
export const fractionStride = 5;
/** Place of each in the row. */
export const fraction = { durationMs: 0, endMs: 1, count: 2, heldMs: 3, waitingMs: 4 } as const;
/** No row. */
export const noRow = -1;

/** Marks beside the kind. */
const mark = { error: 8, parent: 16, text: 32, joined: 64, held: 128, waiting: 256, used: 512 } as const;
const kindMask = 7;

/**
 * Spans in flat memory, each a row of numbers: as objects, millions that wait some seconds each would all outlive the
 * young generation of the garbage collector and be copied twice.
 */
export class CallRows {
  numbers: Int32Array = new Int32Array(64 * stride);
  fractions: Float64Array = new Float64Array(64 * fractionStride);
  readonly #services: string[] = [];
  readonly #peers: (Peer | PeerSource | undefined)[] = [];
  /** Ids that cannot be told from their numbers. */
  readonly #texts = new Map<number, Pick<CallFacts, 'spanId' | 'parentSpanId'>>();
  readonly #key = new Int32Array(2);
  /** Id that `#key` was read from: spans mostly come next to the one above them. */
  #lastId = '';
  #lastIsPlain = false;
  #firstFree = noRow;
  #used = 0;

  /**
   * Writes a span into a free row, which is the caller's until `finish`.
   *
   * @param needsId - False where nobody will ask for the span's own id.
   */
  take(facts: CallFacts, needsId: boolean): number {
    const row = this.#freeRow();
    const { numbers, fractions } = this;
    const key = this.#key;
    const at = row * stride;
    const { kind, spanId, parentSpanId } = facts;
    let marks = markOf(kind) | mark.used;
    let isPlain = true;
    if (facts.error) marks |= mark.error;
    if (parentSpanId !== undefined) {
      marks |= mark.parent;
      isPlain = this.#read(parentSpanId);
      numbers[at + column.parent] = key[0] as number;
      numbers[at + column.parent + 1] = key[1] as number;
    }
    if (needsId) {
      isPlain = this.#read(spanId) && isPlain;
      numbers[at + column.id] = key[0] as number;
      numbers[at + column.id + 1] = key[1] as number;
    }
    if (!isPlain) {
      marks |= mark.text;
      this.#texts.set(row, { spanId, parentSpanId });
    }
    numbers[at + column.flags] = marks;
    const fractionsAt = row * fractionStride;
    fractions[fractionsAt + fraction.durationMs] = facts.durationMs;
    fractions[fractionsAt + fraction.endMs] = facts.endMs;
    fractions[fractionsAt + fraction.count] = facts.count ?? 1;
    this.#services[row] = facts.origin.service;
    this.#peers[row] = facts.peerSource ?? facts.peer;
    return row;
  }

  /** Ends the use of a row that was taken. */
  finish(row: number): void {
    this.#mark(row, mark.used, false);
    this.release(row);
  }

  /** Gives a row back unless it is used, held or waits. */
  release(row: number): void {
    const at = row * stride;
    const marks = this.numbers[at + column.flags] as number;
    if ((marks & (mark.used | mark.held | mark.waiting)) !== 0) return;
    if ((marks & mark.text) !== 0) this.#texts.delete(row);
    this.#peers[row] = undefined;
    this.numbers[at + column.byId] = this.#firstFree;
    this.#firstFree = row;
  }

  /** The facts as they were taken, without what a map does not need. */
  facts(row: number): SpanFacts {
    const { spanId, parentSpanId } = this.#texts.get(row) ?? {
      spanId: this.#idAt(row, column.id),
      parentSpanId: this.hasParent(row) ? this.#idAt(row, column.parent) : undefined,
    };
    const origin = { service: this.service(row), version: undefined, instance: undefined };
    return {
      traceId: '',
      spanId,
      parentSpanId,
      origin,
      operation: '',
      kind: this.kind(row),
      endMs: this.endMs(row),
      durationMs: this.durationMs(row),
      error: this.failed(row),
      count: this.count(row),
      peer: this.peer(row),
    };
  }

  kind(row: number): SpanFacts['kind'] {
    return spanKinds[this.#marks(row) & kindMask] as SpanFacts['kind'];
  }

  service(row: number): string {
    return this.#services[row] as string;
  }

  peer(row: number): Peer | undefined {
    const peer = this.#peers[row];
    return peer === undefined || 'connection' in peer ? peer : peerOf(peer);
  }

  failed(row: number): boolean {
    return (this.#marks(row) & mark.error) !== 0;
  }

  hasParent(row: number): boolean {
    return (this.#marks(row) & mark.parent) !== 0;
  }

  /** Whether a span has this id of its parent. */
  isParent(row: number, high: number, low: number): boolean {
    const at = row * stride + column.parent;
    return this.hasParent(row) && this.numbers[at] === high && this.numbers[at + 1] === low;
  }

  /** As `setWaiting` was told. */
  isJoined(row: number): boolean {
    return (this.#marks(row) & mark.joined) !== 0;
  }

  endMs(row: number): number {
    return this.fractions[row * fractionStride + fraction.endMs] as number;
  }

  durationMs(row: number): number {
    return this.fractions[row * fractionStride + fraction.durationMs] as number;
  }

  /** How many spans the one stands for. */
  count(row: number): number {
    return this.fractions[row * fractionStride + fraction.count] as number;
  }

  /** Whole number of a row. */
  number(row: number, place: number): number {
    return this.numbers[row * stride + place] as number;
  }

  setHeld(row: number, is: boolean): void {
    this.#mark(row, mark.held, is);
  }

  /** @param joined - Whether the caller's service is known, and only the client span between is missing. */
  setWaiting(row: number, high: number, low: number, joined: boolean): void {
    const at = row * stride;
    this.numbers[at + column.above] = high;
    this.numbers[at + column.above + 1] = low;
    this.#mark(row, mark.joined, joined);
    this.#mark(row, mark.waiting, true);
  }

  /** The row is the caller's until `finish`. */
  stopWaiting(row: number): void {
    this.#mark(row, mark.waiting, false);
    this.#mark(row, mark.used, true);
  }

  #read(id: string): boolean {
    if (id !== this.#lastId) {
      this.#lastId = id;
      this.#lastIsPlain = readSpanKey(id, this.#key);
    }
    return this.#lastIsPlain;
  }

  #marks(row: number): number {
    return this.numbers[row * stride + column.flags] as number;
  }

  #mark(row: number, bit: number, is: boolean): void {
    const at = row * stride + column.flags;
    const marks = this.numbers[at] as number;
    this.numbers[at] = is ? marks | bit : marks & ~bit;
  }

  #idAt(row: number, place: number): string {
    return spanIdOf(this.number(row, place), this.number(row, place + 1));
  }

  #freeRow(): number {
    const row = this.#firstFree;
    if (row !== noRow) {
      this.#firstFree = this.number(row, column.byId);
      return row;
    }
    if (this.#used * stride === this.numbers.length) {
      const numbers = new Int32Array(this.numbers.length * 2);
      numbers.set(this.numbers);
      this.numbers = numbers;
      const fractions = new Float64Array(this.fractions.length * 2);
      fractions.set(this.fractions);
      this.fractions = fractions;
    }
    this.#used += 1;
    return this.#used - 1;
  }
}

function markOf(kind: SpanFacts['kind']): number {
  if (kind === 'server') return 1;
  if (kind === 'client') return 2;
  return spanKinds.indexOf(kind);
}
