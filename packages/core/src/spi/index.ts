export type {
  ExportAnswer,
  Span,
  SpanAttributes,
  SpanAttributeValue,
  SpanBatch,
  SpanEvent,
  SpanKindName,
  SpanLink,
  SpanScope,
  TraceExporter,
  TraceExporterCapabilities,
} from './apm.js';
export type { AuditEntry, AuditEvent, AuditRecord, AuditSink } from './audit.js';
export type {
  Call,
  CallOptions,
  Clock,
  Credential,
  HealthReport,
  HostStatus,
  JsonValue,
  ServiceIdentity,
  Spi,
  SpiKind,
  StorageDamage,
  Support,
  Timer,
} from './base.js';
export type { HealthSource } from './health-source.js';
export type { KeyWrapper } from './key-wrapper.js';
export type { HeldLease, Lease } from './lease.js';
export type {
  LogAttributes,
  LogBatch,
  LogEntry,
  LogFlag,
  LogFrame,
  LogLevel,
  LogPartialReason,
  LogScalar,
  LogSearchResult,
  LogSource,
  LogStore,
  LogStoreBatch,
  LogStoreQuery,
  LogTest,
  NewLogEntry,
} from './log.js';
export type {
  LabelMatch,
  MetricQuery,
  MetricReduction,
  MetricSample,
  MetricSelection,
  MetricSource,
} from './metric-source.js';
export type { Notification, Notifier } from './notifier.js';
export type { ObjectInfo, ObjectStore, StoredObject } from './object-store.js';
export type {
  ContainerConfig,
  FailureReason,
  InstanceState,
  InstanceStatus,
  OrchestrationProvider,
  OrchestrationProviderContext,
  ProbeConfig,
  ProbeTiming,
  RevisionDescription,
  RevisionObservation,
  RouteCounts,
  RouteShares,
  RouteState,
  ServiceAddress,
  ServiceConfig,
  ServiceObservation,
  ServicePort,
  ServiceRouter,
} from './orchestration.js';
export type {
  Recoverable,
  RecoveryFinding,
  RestoreSummary,
  RestoreTarget,
  SnapshotEntry,
  SnapshotReader,
  SnapshotSink,
  SnapshotSummary,
} from './recoverable.js';
export type { ResolvedSecret, SecretResolver } from './secret-resolver.js';
export type {
  AppliedRotationContext,
  RotationContext,
  Rotator,
  SecretAnnotation,
  SecretCapabilities,
  SecretChange,
  SecretProvider,
  SecretPutOptions,
  SecretRecord,
  SecretSchema,
  SecretSelector,
  SecretStage,
  SecretValue,
  SecretVersionRecord,
  SecretVersionState,
  StoredSecret,
} from './secrets.js';
