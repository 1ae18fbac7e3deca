export { forecastMetric, type MetricForecast, type MetricForecastQuery } from '../questions/forecast-metric.js';
export type { OpenQuery, OpenSelection } from '../questions/metric-question.js';
export { buildServiceMap, rankRootCauses } from './checked-input.js';
export { createDetector } from './detectors/create-detector.js';
export type { Detector, DetectorKind, DetectorOptions, Expectation } from './detectors/detector.js';
export { createVectorDetector, type VectorDetector, type VectorDetectorOptions } from './detectors/half-space-trees.js';
export {
  type ForecastDoubt,
  type ForecastOptions,
  type ForecastPoint,
  forecastSeries,
  type SeriesForecast,
} from './forecast/forecast-series.js';
export { LatencySketch } from './latency-sketch.js';
export type {
  CallEdge,
  LogRecord,
  MetricPoint,
  MetricRole,
  MetricSeries,
  RootCauseEntry,
} from './root-cause/inputs.js';
export type { RankInput, RootCauseCandidate, RootCauseEvidence, RootCauseRanking } from './root-cause/rank.js';
export { RunningMoments } from './running-moments.js';
export type { Quantiles, ServiceDependency, ServiceMap, ServiceNode } from './service-map.js';
export type { Connection } from './span-facts.js';
