export type {
  ExportAnswer,
  Notification,
  Notifier,
  ServiceIdentity,
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
} from '@mnops/core/spi';
export type { AnomalyQuery, AnomalySignal, PerformanceAnomaly } from './analysis/anomaly.js';
export type { DetectorKind } from './analysis/detectors/detector.js';
export type { ForecastConfig } from './analysis/forecast/forecast-config.js';
export type { ForecastDoubt, ForecastPoint } from './analysis/forecast/forecast-series.js';
export type { BaselineBucket } from './analysis/hourly-stats.js';
export type { LatencySketchState } from './analysis/latency-sketch.js';
export type { OperationFilter, PerformanceBaseline, TimeWindow } from './analysis/operation-table.js';
export type { CallEdge, LogRecord, MetricPoint, MetricRole, MetricSeries } from './analysis/root-cause/inputs.js';
export type { RootCauseCandidate, RootCauseEvidence } from './analysis/root-cause/rank.js';
export type { Quantiles, ServiceDependency, ServiceMap, ServiceNode } from './analysis/service-map.js';
export type { Connection } from './analysis/span-facts.js';
export { type ApmErrorCode, codes } from './codes.js';
export type {
  AnalysisConfig,
  AnomalyConfig,
  APMConfig,
  OperatingPackage,
  QueueConfig,
  SpanLimits,
  StoreConfig,
} from './config.js';
export type { CircuitState } from './delivery/circuit.js';
export type { SpoolConfig } from './delivery/delivery-config.js';
export type { DeliveryReport, DropReason, ExporterStats, SpoolStats } from './delivery/delivery-report.js';
export type { DiskConfig } from './disk/disk-config.js';
export type { DiskStats } from './disk/kept-folder.js';
export type { APMEvents } from './events.js';
export type { IngestReport } from './manager/ingestion.js';
export type { Metric, MetricKind, MetricStats } from './metrics/metric.js';
export { PerformanceMonitoringManager } from './performance-monitoring-manager.js';
export type { HeaderCarrier, HeaderTarget, IncomingHeaders, WebHeaders } from './propagation/carrier.js';
export type { PropagatorName } from './propagation/propagator-names.js';
export type { Forecast, ForecastQuery, ForecastSignal } from './questions/forecast-query.js';
export {
  type MetricQuestion,
  metricQuestions,
  type OpenQuery,
  type OpenSelection,
} from './questions/metric-question.js';
export type { RootCauseQuery, RootCauseReport } from './questions/root-cause-query.js';
export { type WatchedMetric, watchMetric } from './questions/watch-metric.js';
export type {
  HeadSampler,
  SamplerLike,
  SamplingConfig,
  SamplingRule,
  TailRule,
  TailSamplingConfig,
} from './sampling/sampling-config.js';
export type { KeepReason, SamplingDropReason, SamplingStats } from './sampling/sampling-stats.js';
export type { SpanMatch } from './sampling/span-match.js';
export type {
  APMSnapshot,
  EdgeState,
  HalfState,
  NodeState,
  OperationState,
  SourceState,
} from './snapshot/apm-snapshot.js';
export type { SharedStats } from './snapshot/shared-figures.js';
export type { CellState, StatsState } from './snapshot/stats-state.js';
export type { SpanEventJson, SpanJson } from './span-json.js';
export type { APMStats } from './stats.js';
export type { TraceQuery } from './store/trace-query.js';
export type { TraceRingStats } from './store/trace-ring.js';
export type { Trace, TraceJson } from './trace.js';
export { traceFromJson } from './trace-json.js';
export type { ReadableSpanLike } from './tracing/recorded-span.js';
export type { SpanOptions } from './tracing/span-options.js';
export type { SpanProcessorLike } from './tracing/tracing.js';
