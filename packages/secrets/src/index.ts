export { keyFile, keyRing, passphraseKey, rawKey } from '@mnops/core/crypto';
export type {
  AppliedRotationContext,
  KeyWrapper,
  RotationContext,
  RotationStrategy,
  Rotator,
  SecretCapabilities,
  SecretChange,
  SecretProvider,
  SecretStage,
  SecretValue,
} from '@mnops/core/spi';
export type { AccessConfig, AccessDecision, AccessRule, SecretAction } from './access/policy.js';
export type { AuditLogEntry } from './audit/recorder.js';
export { codes, type SecretsErrorCode } from './codes.js';
export { type FallbackOptions, fallback } from './composites/fallback.js';
export { merge } from './composites/merge.js';
export { mirror } from './composites/mirror.js';
export { route } from './composites/route.js';
export type { SecretsEvents } from './events.js';
export type { ExchangeFormat, ExportOptions, ImportOptions, ImportReport } from './exchange/exchange.js';
export type { LeaseOptions, SecretLease, SecretLeaseStatus } from './leases/secret-lease.js';
export {
  type EncryptedFileOptions,
  type EncryptedFileProvider,
  encryptedFile,
  type RewrapOptions,
  type VaultVerification,
} from './providers/encrypted-file/index.js';
export { type EnvironmentOptions, environment } from './providers/environment/index.js';
export { type MemoryOptions, memory } from './providers/memory/index.js';
export { type MountedFilesOptions, mountedFiles } from './providers/mounted-files/index.js';
export type { SecretHandle } from './read/handle.js';
export type { Redactor, RedactorOptions } from './redaction/redactor.js';
export { type ScanFinding, type ScanOptions, scan } from './redaction/scan.js';
export { formatReference, parseReference, type SecretReference } from './reference.js';
export type { RotationOutcome, RotationStep } from './rotation/journal.js';
export type { RotateOptions, RotationResult, RotationState } from './rotation/rotation-state.js';
export type {
  CacheConfig,
  ExpiryConfig,
  RetryConfig,
  RotationConfig,
  SecretAuditConfig,
  SecretConfig,
} from './secret-config.js';
export type {
  ManySecrets,
  ReadOptions,
  SecretInput,
  SecretMetadata,
  SecretOperations,
  SecretRotationFacts,
  SecretVersion,
  WriteOptions,
} from './secret-operations.js';
export { type SecretAudit, type SecretRotations, SecretsManager, type SecretsStats } from './secrets-manager.js';
