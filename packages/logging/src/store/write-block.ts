import { crc32 } from 'node:zlib';
import { writeFileAtomic } from '@mnops/core/files';
import type { NewLogEntry } from '@mnops/core/spi';
import {
  blockHeaderBytes,
  chunkHeaderBytes,
  encodeBlockHeader,
  encodeChunkHeader,
  encodeIndex,
  type IndexedChunk,
  newMarker,
} from './block-format.js';
import { type ChunkEntries, encodeChunk } from './chunk.js';
import { bloomOf } from './token-bloom.js';
import { eachText, tokensOf } from './tokens.js';

/** Entries and their size as lines. */
export interface SealInput extends ChunkEntries {
  readonly rawBytes: number;
}

/** Entries of a chunk at most; damage costs no more than a chunk. */
const maxChunkEntries = 2048;
/** Bytes of lines in a chunk, about. */
const maxChunkRawBytes = 256 * 1024;

/** Writes a block that is complete and durable afterwards, or not there at all. Runs of entries must be in order. */
export async function writeBlock(file: string, runs: Iterable<SealInput>): Promise<void> {
  const marker = newMarker();
  const parts: Buffer[] = [];
  const chunks: IndexedChunk[] = [];
  let offset = blockHeaderBytes;
  for (const run of gather(runs)) {
    const body = await encodeChunk(run.entries);
    const header = { ...summaryOf(run), ordinal: chunks.length, bodyBytes: body.length, bodyCheck: crc32(body) };
    parts.push(encodeChunkHeader(header, marker), body);
    chunks.push({ ...header, offset, bloom: bloomOf(wordsOf(run.entries)) });
    offset += chunkHeaderBytes + body.length;
    // Other work of the process goes on between chunks.
    await new Promise((resolve) => setImmediate(resolve));
  }
  const index = encodeIndex(chunks, marker);
  const last = chunks.at(-1);
  const header = encodeBlockHeader({
    marker,
    chunks: chunks.length,
    entries: chunks.reduce((sum, chunk) => sum + chunk.count, 0),
    firstSequence: chunks[0]?.firstSequence ?? 0,
    nextSequence: last === undefined ? 0 : last.firstSequence + last.count,
    minMs: Math.min(...chunks.map((chunk) => chunk.minMs)),
    maxMs: Math.max(...chunks.map((chunk) => chunk.maxMs)),
    indexOffset: offset,
    indexBytes: index.length,
    fileBytes: offset + index.length + blockHeaderBytes,
  });
  await writeFileAtomic(file, Buffer.concat([header, ...parts, index, header]), { mode: 0o600 });
}

/** Joins small runs and cuts large ones, so that chunks have a good size and no gap inside. */
function* gather(runs: Iterable<SealInput>): Generator<SealInput> {
  let entries: NewLogEntry[] = [];
  let rawBytes = 0;
  let firstSequence = 0;
  for (const run of runs) {
    const each = run.rawBytes / Math.max(1, run.entries.length);
    if (entries.length > 0 && firstSequence + entries.length !== run.firstSequence) {
      yield { entries, rawBytes: Math.round(rawBytes), firstSequence };
      entries = [];
      rawBytes = 0;
    }
    for (const [index, entry] of run.entries.entries()) {
      if (entries.length === 0) firstSequence = run.firstSequence + index;
      entries.push(entry);
      rawBytes += each;
      if (entries.length < maxChunkEntries && rawBytes < maxChunkRawBytes) continue;
      yield { entries, rawBytes: Math.round(rawBytes), firstSequence };
      entries = [];
      rawBytes = 0;
    }
  }
  if (entries.length > 0) yield { entries, rawBytes: Math.round(rawBytes), firstSequence };
}

function summaryOf(run: SealInput): Omit<IndexedChunk, 'ordinal' | 'bodyBytes' | 'bodyCheck' | 'offset' | 'bloom'> {
  let minMs = Number.POSITIVE_INFINITY;
  let maxMs = Number.NEGATIVE_INFINITY;
  let maxSeverity = 0;
  for (const { timeMs, severityNumber } of run.entries) {
    if (timeMs < minMs) minMs = timeMs;
    if (timeMs > maxMs) maxMs = timeMs;
    if (severityNumber > maxSeverity) maxSeverity = severityNumber;
  }
  const { entries, firstSequence, rawBytes } = run;
  return { count: entries.length, firstSequence, minMs, maxMs, maxSeverity, rawBytes };
}

/** Every word of some entries that a query can ask for. */
export function wordsOf(entries: readonly NewLogEntry[]): Set<string> {
  const words = new Set<string>();
  const texts = new Set<string>();
  const add = (text: string): void => {
    // Values repeat; splitting each of them once is enough.
    if (text.length < 128) {
      if (texts.has(text)) return;
      texts.add(text);
    }
    for (const token of tokensOf(text)) words.add(token);
  };
  for (const entry of entries) {
    add(entry.message);
    add(entry.stream);
    if (entry.logger !== undefined) add(entry.logger);
    if (entry.traceId !== undefined) words.add(entry.traceId);
    if (entry.spanId !== undefined) words.add(entry.spanId);
    eachText(entry.attributes, add);
    eachText(entry.resource, add);
  }
  return words;
}
