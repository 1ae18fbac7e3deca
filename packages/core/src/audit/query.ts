import * as v from 'valibot';
import { parseOptions } from '../config/parse-options.js';
import type { AuditRecord } from '../spi/audit.js';
import { parseLine, recordOf } from './entry.js';
import { fileOf, linesOf, writersIn } from './lines.js';

/** Which records are wanted; every given field must match. */
export interface AuditQuery {
  readonly actor?: string | undefined;
  readonly operation?: string | undefined;
  readonly target?: string | undefined;
  readonly outcome?: AuditRecord['outcome'] | undefined;
  readonly writer?: string | undefined;
  /** Earliest time, included. */
  readonly from?: Date | undefined;
  /** Latest time, excluded. */
  readonly to?: Date | undefined;
  /** Most records. Default: all. */
  readonly limit?: number | undefined;
}

const querySchema = v.strictObject({
  actor: v.optional(v.string()),
  operation: v.optional(v.string()),
  target: v.optional(v.string()),
  outcome: v.optional(v.string()),
  writer: v.optional(v.string()),
  from: v.optional(v.date()),
  to: v.optional(v.date()),
  limit: v.optional(v.pipe(v.number(), v.minValue(0))),
});

/**
 * A misspelt filter would answer with every record there is.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`
 */
export function assertQuery(query: AuditQuery): void {
  parseOptions('audit.query', querySchema, query);
}

/** Records of every chain in a folder that match, oldest first. Lines that are damaged are left out; `verify` names them. */
export async function* queryFolder(folder: string, query: AuditQuery): AsyncGenerator<AuditRecord, void> {
  const writers = (await writersIn(folder)).filter((name) => query.writer === undefined || name === query.writer);
  yield* merged(
    writers.map((writer) => recordsIn(fileOf(folder, writer), query)),
    query.limit,
  );
}

/** Records that match, from any source of lines. */
export async function* queryLines(
  lines: AsyncIterable<string> | Iterable<string>,
  query: AuditQuery,
): AsyncGenerator<AuditRecord, void> {
  let left = query.limit ?? Number.POSITIVE_INFINITY;
  for await (const line of lines) {
    const record = matching(line, query);
    if (record === undefined) continue;
    if (left <= 0) return;
    left -= 1;
    yield record;
  }
}

async function* recordsIn(file: string, query: AuditQuery): AsyncGenerator<AuditRecord, void> {
  for await (const lines of linesOf(file)) {
    for (const { text } of lines) {
      const record = matching(text, query);
      if (record !== undefined) yield record;
    }
  }
}

function matching(line: string, query: AuditQuery): AuditRecord | undefined {
  const entry = parseLine(line);
  const record = entry === undefined ? undefined : recordOf(entry);
  if (record === undefined) return undefined;
  for (const field of ['actor', 'operation', 'target', 'outcome', 'writer'] as const) {
    if (query[field] !== undefined && query[field] !== record[field]) return undefined;
  }
  if (query.from !== undefined && record.at < query.from) return undefined;
  return query.to !== undefined && record.at >= query.to ? undefined : record;
}

/** Joins chains by time; within a chain the order stays. */
async function* merged(
  sources: readonly AsyncGenerator<AuditRecord, void>[],
  limit: number = Number.POSITIVE_INFINITY,
): AsyncGenerator<AuditRecord, void> {
  const heads: { record: AuditRecord; source: AsyncGenerator<AuditRecord, void> }[] = [];
  try {
    for (const source of sources) {
      const first = await source.next();
      if (first.done !== true) heads.push({ record: first.value, source });
    }
    for (let left = limit; left > 0 && heads.length > 0; left--) {
      let earliest = 0;
      for (let index = 1; index < heads.length; index++) {
        if ((heads[index]?.record.at ?? 0) < (heads[earliest]?.record.at ?? 0)) earliest = index;
      }
      const head = heads[earliest];
      if (head === undefined) return;
      yield head.record;
      const next = await head.source.next();
      if (next.done === true) heads.splice(earliest, 1);
      else head.record = next.value;
    }
  } finally {
    for (const source of sources) await source.return(undefined);
  }
}
