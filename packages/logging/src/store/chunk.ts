import { promisify } from 'node:util';
import { brotliCompress, brotliDecompressSync, constants } from 'node:zlib';
import type { JsonValue, LogAttributes, LogEntry, NewLogEntry } from '@mnops/core/spi';
import { byteReader, byteWriter } from './byte-writer.js';

/** Entries with the numbers that their writer gave them; the numbers of a chunk have no gap. */
export interface ChunkEntries {
  readonly firstSequence: number;
  readonly entries: readonly NewLogEntry[];
}

/** A decoded chunk. Single fields are cheap to read; a whole entry is put together on demand. */
export interface Chunk {
  readonly count: number;
  readonly firstSequence: number;
  timeAt(row: number): number;
  severityAt(row: number): number;
  traceAt(row: number): string | undefined;
  entryAt(row: number): LogEntry;
  /** False: a word stands in none of its entries. Cheaper than reading them. */
  mayHold(word: string): boolean;
}

type Static = readonly [
  level: LogEntry['level'],
  severityNumber: number,
  logger: string | null,
  stream: string,
  resource: LogAttributes,
  format: LogEntry['format'] | null,
  flags: LogEntry['flags'] | null,
];

interface Tables {
  readonly statics: readonly Static[];
  /** Attribute keys of a kind of row, as places in `keys`. */
  readonly shapes: readonly (readonly number[])[];
  readonly keys: readonly string[];
}

const compress = promisify(brotliCompress);

/** Largest size of a chunk after decompression: more is damage or an attack. */
const maxChunkBytes = 64 * 1024 * 1024;

const hasTrace = 1;
const hasSpan = 2;

/**
 * Encodes entries by column, so that equal things stand together and compress well. Trace and span ids stand apart as raw
 * bytes, because random bits do not compress. The layout is in `docs/formats/log-block.md`.
 */
export async function encodeChunk(entries: readonly NewLogEntry[]): Promise<Buffer> {
  const statics = new Numbering<Static>();
  const shapes = new Numbering<readonly number[]>();
  const keys = new Numbering<string>();
  const times = byteWriter();
  const delays = byteWriter();
  const kinds = byteWriter();
  const ids: Buffer[] = [];
  const messages: string[] = [];
  const columns: string[][] = [];
  let last = 0;
  for (const entry of entries) {
    times.zigzag(entry.timeMs - last);
    last = entry.timeMs;
    delays.zigzag(entry.observedMs - entry.timeMs);
    kinds.varint(statics.of(staticOf(entry)));
    const shape: number[] = [];
    for (const [key, value] of Object.entries(entry.attributes)) {
      const column = keys.of(key);
      shape.push(column);
      const lines = columns[column] ?? [];
      lines.push(JSON.stringify(value));
      columns[column] = lines;
    }
    kinds.varint(shapes.of(shape));
    kinds.varint((entry.traceId === undefined ? 0 : hasTrace) | (entry.spanId === undefined ? 0 : hasSpan));
    if (entry.traceId !== undefined) ids.push(Buffer.from(entry.traceId, 'hex'));
    if (entry.spanId !== undefined) ids.push(Buffer.from(entry.spanId, 'hex'));
    messages.push(JSON.stringify(entry.message));
  }
  const tables: Tables = { statics: statics.values, shapes: shapes.values, keys: keys.values };
  const parts = [times.bytes(), delays.bytes(), kinds.bytes(), JSON.stringify(tables), messages.join('\n')];
  const packed = joinSections([...parts, ...columns.map((column) => column.join('\n'))]);
  const squeezed = await compress(packed, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 5, [constants.BROTLI_PARAM_SIZE_HINT]: packed.length },
  });
  return joinSections([squeezed, Buffer.concat(ids)]);
}

function staticOf(entry: NewLogEntry): Static {
  const { level, severityNumber, logger, stream, resource, format, flags } = entry;
  return [level, severityNumber, logger ?? null, stream, resource, format ?? null, flags ?? null];
}

/** Decodes a chunk whose check value was right. Throws when it is malformed all the same. */
export function decodeChunk(body: Uint8Array, count: number, firstSequence: number, writer: string): Chunk {
  const [squeezed, ids] = splitSections(body);
  if (squeezed === undefined || ids === undefined) throw new RangeError('a chunk lacks a section');
  const packed = brotliDecompressSync(squeezed, { maxOutputLength: maxChunkBytes });
  const [times, delays, kinds, tables, messages, ...columns] = splitSections(packed);
  if (!times || !delays || !kinds || !tables || !messages) throw new RangeError('a chunk lacks a column');
  return new Columns(
    { packed, times, delays, kinds, messages, columns, ids: Buffer.from(ids.buffer, ids.byteOffset, ids.length) },
    JSON.parse(textOf(tables)) as Tables,
    { count, firstSequence, writer },
  );
}

interface RawColumns {
  readonly packed: Buffer;
  readonly times: Uint8Array;
  readonly delays: Uint8Array;
  readonly kinds: Uint8Array;
  readonly messages: Uint8Array;
  readonly columns: readonly Uint8Array[];
  readonly ids: Buffer;
}

class Columns implements Chunk {
  readonly count: number;
  readonly firstSequence: number;
  readonly #writer: string;
  readonly #raw: RawColumns;
  readonly #tables: Tables;
  readonly #times: Float64Array;
  readonly #delays: Float64Array;
  readonly #statics: Uint32Array;
  readonly #shapes: Uint32Array;
  readonly #idFlags: Uint8Array;
  readonly #idOffsets: Uint32Array;
  #text: string | undefined;
  #messages: readonly string[] | undefined;
  #values: readonly (readonly string[])[] | undefined;
  #places: Uint32Array | undefined;

  constructor(raw: RawColumns, tables: Tables, about: { count: number; firstSequence: number; writer: string }) {
    const { count } = about;
    this.count = count;
    this.firstSequence = about.firstSequence;
    this.#writer = about.writer;
    this.#raw = raw;
    this.#tables = tables;
    this.#times = new Float64Array(count);
    this.#delays = new Float64Array(count);
    this.#statics = new Uint32Array(count);
    this.#shapes = new Uint32Array(count);
    this.#idFlags = new Uint8Array(count);
    this.#idOffsets = new Uint32Array(count);
    const times = byteReader(raw.times);
    const delays = byteReader(raw.delays);
    const kinds = byteReader(raw.kinds);
    let time = 0;
    let idOffset = 0;
    for (let row = 0; row < count; row += 1) {
      time += times.zigzag();
      this.#times[row] = time;
      this.#delays[row] = delays.zigzag();
      this.#statics[row] = kinds.varint();
      this.#shapes[row] = kinds.varint();
      const flags = kinds.varint();
      this.#idFlags[row] = flags;
      this.#idOffsets[row] = idOffset;
      idOffset += ((flags & hasTrace) === 0 ? 0 : 16) + ((flags & hasSpan) === 0 ? 0 : 8);
    }
  }

  mayHold(word: string): boolean {
    // Letters and digits are never escaped in JSON, so the word stands in the columns as it is, whatever its case.
    this.#text ??= this.#raw.packed.toString().toLowerCase();
    if (this.#text.includes(word)) return true;
    return /^(?:[0-9a-f]{16}){1,2}$/.test(word) && this.#raw.ids.includes(Buffer.from(word, 'hex'));
  }

  timeAt(row: number): number {
    return this.#times[row] ?? 0;
  }

  severityAt(row: number): number {
    return this.#static(row)[1];
  }

  traceAt(row: number): string | undefined {
    if (((this.#idFlags[row] ?? 0) & hasTrace) === 0) return undefined;
    const at = this.#idOffsets[row] ?? 0;
    return this.#raw.ids.toString('hex', at, at + 16);
  }

  entryAt(row: number): LogEntry {
    const [level, severityNumber, logger, stream, resource, format, flags] = this.#static(row);
    const timeMs = this.timeAt(row);
    const traceId = this.traceAt(row);
    const spanId = this.#spanAt(row);
    this.#messages ??= textOf(this.#raw.messages).split('\n');
    return {
      id: entryId(this.#writer, this.firstSequence + row),
      stream,
      timeMs,
      observedMs: timeMs + (this.#delays[row] ?? 0),
      level,
      severityNumber,
      message: JSON.parse(this.#messages[row] ?? '""') as string,
      ...(logger !== null && { logger }),
      attributes: this.#attributesAt(row),
      resource,
      ...(traceId !== undefined && { traceId }),
      ...(spanId !== undefined && { spanId }),
      ...(format !== null && { format }),
      ...(flags !== null && { flags }),
    };
  }

  #static(row: number): Static {
    const found = this.#tables.statics[this.#statics[row] ?? 0];
    if (found === undefined) throw new RangeError('a row names no known kind');
    return found;
  }

  #spanAt(row: number): string | undefined {
    const flags = this.#idFlags[row] ?? 0;
    if ((flags & hasSpan) === 0) return undefined;
    const at = (this.#idOffsets[row] ?? 0) + ((flags & hasTrace) === 0 ? 0 : 16);
    return this.#raw.ids.toString('hex', at, at + 8);
  }

  #attributesAt(row: number): LogAttributes {
    const shape = this.#tables.shapes[this.#shapes[row] ?? 0] ?? [];
    if (shape.length === 0) return {};
    this.#values ??= this.#raw.columns.map((column) => textOf(column).split('\n'));
    const places = this.#placesOf();
    const start = places[row] ?? 0;
    const members = shape.map((column, index): [string, JsonValue] => {
      const value = this.#values?.[column]?.[this.#ordinals[start + index] ?? 0] ?? 'null';
      return [this.#tables.keys[column] ?? '', JSON.parse(value) as JsonValue];
    });
    return Object.fromEntries(members);
  }

  #ordinals: Uint32Array = new Uint32Array(0);

  /** Where each row's values stand: `#ordinals` holds, from a row's place on, the line in each column of its shape. */
  #placesOf(): Uint32Array {
    if (this.#places !== undefined) return this.#places;
    const places = new Uint32Array(this.count);
    const ordinals: number[] = [];
    const next = new Uint32Array(this.#tables.keys.length);
    for (let row = 0; row < this.count; row += 1) {
      places[row] = ordinals.length;
      for (const column of this.#tables.shapes[this.#shapes[row] ?? 0] ?? []) {
        ordinals.push(next[column] ?? 0);
        next[column] = (next[column] ?? 0) + 1;
      }
    }
    this.#ordinals = Uint32Array.from(ordinals);
    this.#places = places;
    return places;
  }
}

/** The stable id of an entry: its writer and its number there. */
export function entryId(writer: string, sequence: number): string {
  return `${writer}.${sequence.toString(36)}`;
}

/** Gives equal values the same number. */
class Numbering<T> {
  readonly values: T[] = [];
  readonly #numbers = new Map<string, number>();

  of(value: T): number {
    const name = typeof value === 'string' ? value : JSON.stringify(value);
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    this.#numbers.set(name, this.values.length);
    this.values.push(value);
    return this.values.length - 1;
  }
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString();
}

/** Sections, each with its length before it (32 bits, little endian). */
function joinSections(parts: readonly (Uint8Array | string)[]): Buffer {
  const buffers: Uint8Array[] = [];
  for (const part of parts) {
    const bytes = typeof part === 'string' ? Buffer.from(part) : part;
    const length = Buffer.alloc(4);
    length.writeUInt32LE(bytes.length);
    buffers.push(length, bytes);
  }
  return Buffer.concat(buffers);
}

function splitSections(bytes: Uint8Array): Uint8Array[] {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const parts: Uint8Array[] = [];
  let at = 0;
  while (at < view.length) {
    const length = view.readUInt32LE(at);
    at += 4;
    if (at + length > view.length) throw new RangeError('a section is longer than its chunk');
    parts.push(view.subarray(at, at + length));
    at += length;
  }
  return parts;
}
