export { type AwsAgentFake, awsAgentFake } from '../providers/aws/aws-agent.fake.js';
export { type AwsKmsFake, awsKmsFake } from '../providers/aws/aws-kms.fake.js';
export { type AwsSecretsFake, type AwsSecretsFakeOptions, awsSecretsFake } from '../providers/aws/aws-secrets.fake.js';
export { type AzureFake, type AzureFakeOptions, azureFake } from '../providers/azure/azure.fake.js';
export { type GcpFake, type GcpFakeOptions, gcpFake } from '../providers/gcp/gcp.fake.js';
