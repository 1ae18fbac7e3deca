import type { LogEntry, LogStoreQuery } from '@mnops/core/spi';

/** Place of an entry in the order of a search: by time, then by id, so that no two are equal. */
export interface Position {
  readonly timeMs: number;
  readonly writer: string;
  readonly sequence: number;
}

/** The place of an entry. */
export function positionOf(entry: LogEntry): Position {
  const dot = entry.id.lastIndexOf('.');
  return {
    timeMs: entry.timeMs,
    writer: entry.id.slice(0, dot),
    sequence: Number.parseInt(entry.id.slice(dot + 1), 36),
  };
}

/** Negative when `a` is older than `b`. */
export function comparePositions(a: Position, b: Position): number {
  if (a.timeMs !== b.timeMs) return a.timeMs - b.timeMs;
  if (a.writer !== b.writer) return a.writer < b.writer ? -1 : 1;
  return a.sequence - b.sequence;
}

/** A place as the text that users pass back. */
export function cursorOf({ timeMs, writer, sequence }: Position): string {
  return Buffer.from(JSON.stringify([timeMs, writer, sequence])).toString('base64url');
}

/** The place in a cursor, or `undefined` when it is none. */
export function positionOfCursor(cursor: string): Position | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    if (!Array.isArray(value)) return undefined;
    const [timeMs, writer, sequence] = value as unknown[];
    if (typeof timeMs !== 'number' || typeof writer !== 'string' || typeof sequence !== 'number') return undefined;
    return { timeMs, writer, sequence };
  } catch {
    return undefined;
  }
}

/** Collects the first entries of an order, without keeping the rest. */
export interface Page {
  offer(entry: LogEntry): void;
  /** Whether entries of this time range could still enter the page. */
  takes(minMs: number, maxMs: number): boolean;
  /** The entries in order, and the cursor of the next page. */
  result(): { readonly entries: readonly LogEntry[]; readonly next: string | undefined };
}

/** Makes a page for a query. */
export function pageOf(query: Pick<LogStoreQuery, 'sort' | 'limit' | 'after'>): Page {
  const direction = query.sort === 'newest-first' ? -1 : 1;
  const after = query.after === undefined ? undefined : positionOfCursor(query.after);
  // One more than asked for tells whether there is a next page.
  const wanted = query.limit + 1;
  let found: { readonly entry: LogEntry; readonly position: Position }[] = [];
  let worst: Position | undefined;
  const cut = (): void => {
    found.sort((a, b) => direction * comparePositions(a.position, b.position));
    found = found.slice(0, wanted);
    if (found.length === wanted) worst = found.at(-1)?.position;
  };
  return {
    offer(entry) {
      const position = positionOf(entry);
      if (after !== undefined && direction * comparePositions(position, after) <= 0) return;
      if (worst !== undefined && direction * comparePositions(position, worst) >= 0) return;
      found.push({ entry, position });
      if (found.length >= wanted * 2 || (worst === undefined && found.length === wanted)) cut();
    },
    takes(minMs, maxMs) {
      if (after !== undefined && (direction < 0 ? minMs > after.timeMs : maxMs < after.timeMs)) return false;
      return worst === undefined || (direction < 0 ? maxMs >= worst.timeMs : minMs <= worst.timeMs);
    },
    result() {
      cut();
      const last = found[query.limit - 1];
      const more = found.length > query.limit && last !== undefined;
      return {
        entries: found.slice(0, query.limit).map(({ entry }) => entry),
        next: more ? cursorOf(last.position) : undefined,
      };
    },
  };
}
