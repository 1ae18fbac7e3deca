export type { AwsCredentials } from './aws-place.js';
export { type AwsKmsKeyOptions, awsKmsKey } from './kms-key.js';
export { type AwsSecretsAgentOptions, awsSecretsAgent } from './secrets-agent.js';
export type { AwsSecretsManagerClientLike } from './secrets-client.js';
export { type AwsSecretsManagerOptions, awsSecretsManager } from './secrets-manager.js';
