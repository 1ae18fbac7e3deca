export type {
  LogAttributes,
  LogBatch,
  LogEntry,
  LogFlag,
  LogFrame,
  LogLevel,
  LogPartialReason,
  LogScalar,
  LogSearch,
  LogSearchResult,
  LogSource,
  LogTest,
} from '@mnops/core/spi';
export type { NoOptions } from './call-options.js';
export { codes, type LoggingErrorCode } from './codes.js';
export type { Collection, CollectionStats, CollectOptions } from './collect/collection.js';
export type { LogFormat, LogFormatter } from './formats/line-format.js';
export type { SinkStats } from './line-dispatch.js';
export { LogAggregationManager, type SearchOptions } from './log-aggregation-manager.js';
export type { LogConfig, LogLimits, LogStoreConfig } from './log-config.js';
export type { LogEntryInput } from './log-entry-input.js';
export type { LogEvents, LogStats } from './log-stats.js';
export type { LevelSetting } from './logger/level-rules.js';
export type { ChildOptions, Logger, LogMethod } from './logger/logger.js';
export type { RedactionPattern, RedactOptions } from './logger/redact.js';
export { silentLogger } from './logger/silent-logger.js';
export type { LineFormat } from './parse/line.js';
export type { LogQuery } from './query/log-query.js';
export type { TimeInput } from './query/time-input.js';
export { type ConsoleSinkOptions, consoleSink } from './sinks/console.js';
export { type FileSinkOptions, fileSink } from './sinks/file.js';
export { type MemorySink, memorySink } from './sinks/memory.js';
export type { LineSink, OpenSink, SinkContext } from './sinks/sink.js';
