import type { LogEntry, StorageDamage } from '@mnops/core/spi';
import type { Matcher } from '../query/matcher.js';
import type { Page } from '../query/position.js';
import type { IndexedChunk } from './block-format.js';
import { entriesOf, identifiedEntries, type Payload } from './payload.js';
import { isDamage, type OpenBlock, readChunks } from './read-block.js';
import { bloomOf, mayContain } from './token-bloom.js';
import { wordsOf } from './write-block.js';

/** Some entries of one writer that are read together. */
export interface Unit {
  readonly minMs: number;
  readonly maxMs: number;
  /** Bytes of its entries as lines. */
  readonly rawBytes: number;
  /** Offers every match; resolves with the damage found instead of entries. */
  read(matcher: Matcher, offer: (entry: LogEntry) => void): Promise<StorageDamage | undefined>;
}

/** Units of a sealed block that a query cannot rule out. */
export function unitsOfBlock(block: OpenBlock, writer: string, matcher: Matcher): Unit[] {
  return block.chunks.filter((chunk) => chunkMayMatch(chunk, matcher)).map((chunk) => chunkUnit(block, chunk, writer));
}

function chunkMayMatch(chunk: IndexedChunk, matcher: Matcher): boolean {
  if (!matcher.mayMatch(chunk.minMs, chunk.maxMs, chunk.maxSeverity)) return false;
  const { bloom } = chunk;
  return bloom === undefined || matcher.needles.every((needle) => mayContain(bloom, needle));
}

function chunkUnit(block: OpenBlock, chunk: IndexedChunk, writer: string): Unit {
  return {
    minMs: chunk.minMs,
    maxMs: chunk.maxMs,
    rawBytes: chunk.rawBytes,
    async read(matcher, offer) {
      for await (const { rows } of readChunks(block, [chunk], writer)) {
        if (isDamage(rows)) return rows;
        if (!matcher.needles.every((needle) => rows.mayHold(needle))) continue;
        for (let row = 0; row < rows.count; row += 1) {
          if (!matcher.quick(rows.timeAt(row), rows.severityAt(row), rows.traceAt(row))) continue;
          const entry = rows.entryAt(row);
          if (matcher.matches(entry)) offer(entry);
        }
      }
      return undefined;
    },
  };
}

/** Units of writes that are not sealed yet. */
export function unitsOfPayloads(payloads: readonly Payload[], writer: string, matcher: Matcher): Unit[] {
  const units: Unit[] = [];
  for (const payload of payloads) {
    const { minMs, maxMs, maxSeverity } = payload.range ?? anyRange;
    if (!matcher.mayMatch(minMs, maxMs, maxSeverity)) continue;
    units.push({
      minMs,
      maxMs,
      rawBytes: payload.lines.length,
      async read(wanted, offer) {
        readPayload(payload, writer, wanted, offer);
        return undefined;
      },
    });
  }
  return units;
}

const anyRange = { minMs: Number.NEGATIVE_INFINITY, maxMs: Number.POSITIVE_INFINITY, maxSeverity: 24 };

/** Offers the matching entries of one write. */
export function readPayload(
  payload: Payload,
  writer: string,
  matcher: Matcher,
  offer: (entry: LogEntry) => void,
): void {
  if (matcher.needles.length > 0) {
    payload.bloom ??= bloomOf(wordsOf(entriesOf(payload)));
    const { bloom } = payload;
    if (!matcher.needles.every((needle) => mayContain(bloom, needle))) return;
  }
  for (const entry of identifiedEntries(payload, writer)) {
    if (matcher.quick(entry.timeMs, entry.severityNumber, entry.traceId) && matcher.matches(entry)) offer(entry);
  }
}

/** What a scan did. */
export interface ScanResult {
  readonly scannedBytes: number;
  readonly limited: boolean;
  readonly damage: readonly StorageDamage[];
}

/** Reads units in the order of the page until it is full, all are read, or a limit is reached. */
export async function scanUnits(
  units: Unit[],
  matcher: Matcher,
  page: Page,
  options: { readonly newestFirst: boolean; readonly maxBytes: number; readonly signal: AbortSignal },
): Promise<ScanResult> {
  units.sort(options.newestFirst ? (a, b) => b.maxMs - a.maxMs : (a, b) => a.minMs - b.minMs);
  const damage: StorageDamage[] = [];
  let scannedBytes = 0;
  for (const unit of units) {
    if (!page.takes(unit.minMs, unit.maxMs)) continue;
    if (scannedBytes >= options.maxBytes) return { scannedBytes, limited: true, damage };
    options.signal.throwIfAborted();
    const found = await unit.read(matcher, page.offer);
    if (found !== undefined) damage.push(found);
    scannedBytes += unit.rawBytes;
  }
  return { scannedBytes, limited: false, damage };
}
