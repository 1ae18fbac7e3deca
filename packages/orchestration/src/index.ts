export type {
  ContainerConfig,
  FailureReason,
  InstanceState,
  InstanceStatus,
  OrchestrationProvider,
  ProbeConfig,
  ProbeTiming,
  RevisionObservation,
  RouteCounts,
  RouteShares,
  RouteState,
  ServiceAddress,
  ServiceConfig,
  ServicePort,
  ServiceRouter,
} from '@mnops/core/spi';
export { errorShare, latency, proxyFailures } from './analysis/query-makers.js';
export { codes, type OrchestrationErrorCode } from './codes.js';
export { ContainerOrchestrationManager, type OrchestrationStats } from './container-orchestration-manager.js';
export type {
  AnalysisMetric,
  CanaryOptions,
  DeploymentConfig,
  DeploymentStrategy,
  ErrorShareOptions,
  LatencyOptions,
  Measurement,
  OrchestrationOperation,
  OrchestrationResult,
  ProxyFailuresOptions,
  RollingOptions,
  RolloutAnalysis,
  RolloutStep,
  ServiceResult,
  StepResult,
} from './deployment.js';
export type { OrchestrationEvents, RolloutEvent } from './events.js';
export type { OrchestrationConfig } from './orchestration-config.js';
export type { OrchestrationPlan, ServicePlan } from './plan.js';
export { type LocalOptions, local } from './providers/local/index.js';
export type { ProxyLimits } from './proxy/index.js';
export { canary, recreate, rolling } from './rollout/strategies.js';
export { type FieldChange, revisionOf } from './spec/revision.js';
export type { Revision, ServiceStatus } from './status/service-status.js';
