export type {
  Clock,
  HealthSource,
  MetricQuery,
  MetricSample,
  MetricSelection,
  MetricSource,
  Notification,
  Notifier,
} from '@mnops/core/spi';
export { codes } from './codes.js';
export type { MonitoringConfig } from './config.js';
export { type HttpMetricsOptions, httpMetrics } from './http/http-metrics.js';
export { type MetricsHandlerOptions, metricsHandler, type RequestHandler } from './http/metrics-handler.js';
export { operationMetrics } from './metrics/operation-metrics.js';
export { type ProcessMetricsOptions, processMetrics } from './metrics/process-metrics.js';
export { type ExposeOptions, MetricRegistry, type RegistryOptions } from './metrics/registry.js';
export type {
  Counter,
  CounterHandle,
  Gauge,
  GaugeHandle,
  Histogram,
  HistogramHandle,
  HistogramOptions,
  Labels,
  MetricDescription,
  MetricOptions,
  MetricType,
  SeriesFamily,
  SeriesLimits,
} from './metrics/types.js';
export { type MonitoringEvents, MonitoringStackManager, type MonitoringStats } from './monitoring-stack-manager.js';
export { type ConsoleNotifierOptions, consoleNotifier } from './notify/channels/console.js';
export { type FileNotifierOptions, fileNotifier } from './notify/channels/file.js';
export { type WebhookNotifierOptions, webhookNotifier } from './notify/channels/webhook.js';
export type { DeliveryEvent } from './notify/dispatcher.js';
export type { ActiveAlert, AlertRule, ResolvedAlert, RuleGroup } from './rules/alert-rule.js';
export type { Duration } from './rules/duration.js';
