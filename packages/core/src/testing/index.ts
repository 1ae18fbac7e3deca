export {
  type ContractRunner,
  type ContractSubject,
  casesOf,
  failure,
  identityCases,
  type RemoteOperation,
  remoteFailureCases,
} from './contract.js';
export { failingCases } from './failing-cases.js';
export { type FakeClock, type FakeClockOptions, fakeClock } from './fake-clock.js';
export {
  type Fault,
  type FaultKind,
  type FaultScript,
  type FaultServer,
  faultServer,
  type RecordedRequest,
  type ScriptedReply,
} from './fault-server.js';
export { type HealthSourceSubject, healthSourceContract } from './health-source-contract.js';
export { type KeyWrapperSubject, keyWrapperContract } from './key-wrapper-contract.js';
export { type KubernetesFake, kubernetesFake } from './kubernetes-fake.js';
export { type LeaseLimits, type LeaseSubject, leaseContract } from './lease-contract.js';
export { type LogSourceLimits, type LogSourceSubject, logSourceContract } from './log-source-contract.js';
export { type LogStoreSubject, logStoreContract } from './log-store-contract.js';
export { type MemorySnapshot, memorySnapshot } from './memory-snapshot.js';
export {
  type MetricFeed,
  type MetricSourceLimits,
  type MetricSourceSubject,
  metricSourceContract,
} from './metric-source-contract.js';
export { type NotifierLimits, type NotifierSubject, notifierContract } from './notifier-contract.js';
export { type ObjectStoreLimits, type ObjectStoreSubject, objectStoreContract } from './object-store-contract.js';
export { type OrchestrationProviderSubject, orchestrationProviderContract } from './orchestration-provider-contract.js';
export { type RecoverableSubject, recoverableContract } from './recoverable-contract.js';
export { type RotatorSubject, rotatorContract } from './rotator-contract.js';
export { type SecretProviderSubject, secretProviderContract } from './secret-provider-contract.js';
export { eventually, type TestCall, type TestCallOptions, testCall } from './test-call.js';
export { type TraceExporterSubject, traceExporterContract } from './trace-exporter-contract.js';
