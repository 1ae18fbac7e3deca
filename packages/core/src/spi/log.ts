import type { Call, JsonValue, ServiceIdentity, Spi } from './base.js';

/** One line or message as it came, before parsing. */
export interface LogFrame {
  /** The line without its terminator. */
  readonly bytes: Uint8Array | string;
  /** When the source saw it, epoch milliseconds. */
  readonly timeMs?: number | undefined;
  readonly channel?: 'stdout' | 'stderr' | undefined;
  /** True when the line goes on in the next frame of the stream. */
  readonly partial?: boolean | undefined;
  readonly attributes?: Readonly<Record<string, JsonValue>> | undefined;
}

/** Some frames of one stream, in order. */
export interface LogBatch {
  /** Stable name of the stream, such as `catalog/catalog-2/stdout`; order holds within it. */
  readonly stream: string;
  /** Who wrote the lines. */
  readonly identity?: ServiceIdentity | undefined;
  readonly frames: readonly LogFrame[];
  /** Position after this batch, to resume from; opaque. */
  readonly checkpoint?: JsonValue | undefined;
}

/** Where log lines come from. */
export interface LogSource extends Spi<'log-source'> {
  readonly capabilities: {
    readonly scope: 'container' | 'pod' | 'node' | 'application' | 'service' | 'system';
    /** `exact`: a checkpoint resumes without loss or repetition. */
    readonly resume: 'exact' | 'second' | 'none';
  };
  /** Batches from the checkpoint on (from the beginning without one), ending only when the call is aborted. */
  read(from: { readonly checkpoint?: JsonValue | undefined }, call: Call): AsyncIterable<LogBatch>;
}

/** Levels of npm, most urgent first. */
export type LogLevel = 'error' | 'warn' | 'info' | 'http' | 'verbose' | 'debug' | 'silly';

/** Named values of an entry. */
export type LogAttributes = Readonly<Record<string, JsonValue>>;

/** One log entry: the fields of OpenTelemetry's log record, flat. */
export interface LogEntry {
  /** Unique and stable, also over restarts. */
  readonly id: string;
  /** Where it came from, such as `catalog/catalog-2/stdout`; order holds within a stream. */
  readonly stream: string;
  /** When it happened, epoch milliseconds. */
  readonly timeMs: number;
  /** When it was taken in, epoch milliseconds. */
  readonly observedMs: number;
  readonly level: LogLevel;
  /** OpenTelemetry severity number, 1 to 24; finer than `level` for entries of other programs. */
  readonly severityNumber: number;
  readonly message: string;
  /** Name of the logger that wrote it. */
  readonly logger?: string | undefined;
  readonly attributes: LogAttributes;
  /** Who wrote it, by OpenTelemetry's names: `service.name`, `service.version`, … */
  readonly resource: LogAttributes;
  /** 32 lower-case hexadecimal digits. */
  readonly traceId?: string | undefined;
  /** 16 lower-case hexadecimal digits. */
  readonly spanId?: string | undefined;
  /** How the line was read; absent for entries that were never a line. */
  readonly format?: 'json' | 'text' | undefined;
  /** `truncated`: a limit cut it. `lenient`: it was read with a guess. */
  readonly flags?: readonly LogFlag[] | undefined;
}

/** What happened to an entry on its way. */
export type LogFlag = 'truncated' | 'lenient';

/** An entry before it is stored; the store gives it its id. */
export type NewLogEntry = Omit<LogEntry, 'id'>;

/** A test of one field; all tests given must hold. */
export interface LogTest {
  /** Equal to none of these. */
  readonly not?: LogScalar | readonly LogScalar[] | undefined;
  readonly oneOf?: readonly LogScalar[] | undefined;
  readonly gt?: number | undefined;
  readonly gte?: number | undefined;
  readonly lt?: number | undefined;
  readonly lte?: number | undefined;
  /** Part of the text, upper and lower case being equal. */
  readonly contains?: string | undefined;
  /** Whether the field is there at all. */
  readonly exists?: boolean | undefined;
}

/** A value that a field is compared with. */
export type LogScalar = string | number | boolean | null;

/** What to find in a store. All conditions must hold. */
export interface LogStoreQuery {
  /** First moment, epoch milliseconds. */
  readonly fromMs?: number | undefined;
  /** First moment after the range, epoch milliseconds. */
  readonly toMs?: number | undefined;
  /** Least severity number. */
  readonly minSeverity?: number | undefined;
  /** Exactly these levels. */
  readonly levels?: readonly LogLevel[] | undefined;
  /** Tests by field: an attribute by key or path (`user.id`), or `service`, `logger`, `stream`, `message`, `resource.…`. */
  readonly where?: Readonly<Record<string, LogScalar | LogTest>> | undefined;
  /** Words that all stand in the message or in a value; words in double quotes stand there one after the other. */
  readonly text?: string | undefined;
  readonly traceId?: string | undefined;
  readonly spanId?: string | undefined;
  readonly sort: 'newest-first' | 'oldest-first';
  readonly limit: number;
  /** Goes on after the page that gave this cursor. */
  readonly after?: string | undefined;
  /** Bytes of stored entries that may be read for one answer. */
  readonly maxScanBytes: number;
}

/** Why an answer may lack entries. */
export type LogPartialReason = 'scan-limit' | 'storage-damaged';

/** One page of entries. */
export interface LogSearchResult {
  readonly entries: readonly LogEntry[];
  /** Cursor of the next page; absent when there is none. */
  readonly next?: string | undefined;
  /** Why entries may be missing; empty when none is. */
  readonly partial: readonly LogPartialReason[];
  /** Bytes of entries that were read, uncompressed. */
  readonly scannedBytes: number;
  readonly tookMs: number;
}

/** Finds kept entries: what a log manager offers to other packages. */
export interface LogSearch extends Spi<'log-search'> {
  search(query: LogStoreQuery, call: Call): Promise<LogSearchResult>;
}

/** Entries to keep together with the place in the source that they end at. */
export interface LogStoreBatch {
  readonly entries: readonly NewLogEntry[];
  /** Kept in the same step as the entries: both are there afterwards, or neither. */
  readonly checkpoint?: { readonly source: string; readonly value: JsonValue } | undefined;
}

/** Keeps log entries and finds them again. */
export interface LogStore extends Spi<'log-store'> {
  readonly capabilities: {
    /** Whether entries survive the process. */
    readonly durable: boolean;
    /** Whether `follow` also sees what other processes write. */
    readonly followsOthers: boolean;
  };
  /** Resolves once the entries are kept; durable where the store is. */
  append(batch: LogStoreBatch, call: Call): Promise<void>;
  /** The last checkpoint kept for a source. */
  checkpoint(source: string, call: Call): Promise<JsonValue | undefined>;
  search(query: LogStoreQuery, call: Call): Promise<LogSearchResult>;
  /** Matching entries as they arrive from now on, until the call is aborted. `sort`, `limit` and `after` do not apply. */
  follow(query: LogStoreQuery, call: Call): AsyncIterable<LogEntry>;
}
