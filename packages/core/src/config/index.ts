export { clusterAccess } from './cluster-access.js';
export type { EnvironmentOptions } from './environment.js';
export { serviceIdentity } from './identity.js';
export { type LoadConfigOptions, type LoadedConfig, loadConfig } from './load-config.js';
export { type ConfigIssue, configError, parseOptions } from './parse-options.js';
export {
  clockSchema,
  countSchema,
  credentialSchema,
  durationMsSchema,
  functionSchema,
  healthSourcesSchema,
  labelMatchSchema,
  leaseSchema,
  metricReductionSchema,
  metricSourcesSchema,
  notifiersSchema,
  objectStoreSchema,
  providerSchema,
  secretsSchema,
  serviceSchema,
  signalSchema,
  textSchema,
} from './schemas.js';
