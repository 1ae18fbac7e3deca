export type { AwsCredentials } from './aws-place.js';
export type { AwsSecretsManagerClientLike } from './secrets-client.js';
export { type AwsSecretsManagerOptions, awsSecretsManager } from './secrets-manager.js';
