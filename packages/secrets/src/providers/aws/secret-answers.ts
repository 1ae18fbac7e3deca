import type { SecretRecord, SecretVersionRecord, StoredSecret } from '@mnops/core/spi';
import { awsInvalid } from './aws-error.js';
import { factsOf, stagesOf } from './secret-labels.js';
import { type AwsTag, tagsOf } from './secret-tags.js';
import type { Answer } from './secrets-client.js';

/** Facts of a secret as DescribeSecret and ListSecrets give them. */
export interface AwsSecret {
  readonly name: string;
  /** Labels by version; versions without one are not here. */
  readonly labels: ReadonlyMap<string, readonly string[]>;
  readonly createdAtMs: number;
  readonly changedAtMs: number;
  readonly deletedAtMs: number | undefined;
  readonly tags: readonly AwsTag[];
}

/** A version as ListSecretVersionIds gives it. */
export interface AwsVersion {
  readonly version: string;
  readonly labels: readonly string[];
  readonly createdAtMs: number;
}

/** The secret in an answer. */
export function secretIn(answer: Answer, operation: string): AwsSecret {
  const name = textOf(answer['Name'], operation, 'Name');
  const byVersion = answer['VersionIdsToStages'] ?? answer['SecretVersionsToStages'] ?? {};
  if (typeof byVersion !== 'object' || byVersion === null) throw invalid(operation, 'VersionIdsToStages');
  const labels = Object.entries(byVersion).map(([id, list]) => [id, textsOf(list, operation, 'labels')] as const);
  const tags = listOf(answer['Tags'], operation, 'Tags').map((tag) => ({
    Key: textOf(tag['Key'], operation, 'tag'),
    Value: textOf(tag['Value'] ?? '', operation, 'tag'),
  }));
  const createdAtMs = timeOf(answer['CreatedDate']) ?? 0;
  return {
    name,
    labels: new Map(labels),
    createdAtMs,
    changedAtMs: timeOf(answer['LastChangedDate']) ?? createdAtMs,
    deletedAtMs: timeOf(answer['DeletedDate']),
    tags,
  };
}

/** The version that has a label. */
export function holderOf({ labels }: AwsSecret, label: string): string | undefined {
  for (const [version, attached] of labels) if (attached.includes(label)) return version;
  return undefined;
}

/** The secret as every provider tells of one. */
export function recordOfSecret(secret: AwsSecret, path: string): SecretRecord {
  const version = holderOf(secret, 'AWSCURRENT');
  const staged = [...secret.labels].flatMap(([id, attached]) =>
    stagesOf(attached).map((stage) => [stage, id] as const),
  );
  const { expiresAtMs, contentType } = factsOf(version === undefined ? [] : (secret.labels.get(version) ?? []));
  return {
    path,
    version,
    stages: Object.fromEntries(staged),
    createdAtMs: secret.createdAtMs,
    updatedAtMs: secret.changedAtMs,
    expiresAtMs,
    deletedAtMs: secret.deletedAtMs,
    contentType,
    ...tagsOf(secret.tags),
  };
}

/** The version as every provider tells of one. */
export function recordOfVersion({ version, labels, createdAtMs }: AwsVersion, isDeleted: boolean): SecretVersionRecord {
  const { expiresAtMs } = factsOf(labels);
  return { version, stages: stagesOf(labels), state: isDeleted ? 'deleted' : 'enabled', createdAtMs, expiresAtMs };
}

/** The value in an answer, in memory of its own; nothing else of the answer is kept. */
export function valueIn(answer: Answer, operation: string): StoredSecret {
  const { SecretString: text, SecretBinary: binary, CreatedDate: created } = answer;
  const attached = textsOf(answer['VersionStages'] ?? [], operation, 'VersionStages');
  const isText = typeof text === 'string';
  if (!isText && !(binary instanceof Uint8Array)) throw invalid(operation, 'value');
  return {
    value: isText ? Buffer.from(text) : Uint8Array.from(binary as Uint8Array),
    version: textOf(answer['VersionId'], operation, 'VersionId'),
    stages: stagesOf(attached),
    createdAtMs: timeOf(created),
    ...factsOf(attached),
  };
}

/** A value as Secrets Manager takes it: text where it is text, else bytes. */
export function valueFields(value: Uint8Array): { SecretString: string } | { SecretBinary: Uint8Array } {
  try {
    return { SecretString: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value) };
  } catch {
    return { SecretBinary: Uint8Array.from(value) };
  }
}

/** The versions in an answer. */
export function versionsIn(answer: Answer, operation: string): AwsVersion[] {
  return listOf(answer['Versions'], operation, 'Versions').map((item) => ({
    version: textOf(item['VersionId'], operation, 'VersionId'),
    labels: textsOf(item['VersionStages'] ?? [], operation, 'VersionStages'),
    createdAtMs: timeOf(item['CreatedDate']) ?? 0,
  }));
}

/** Objects in a list that may be absent. */
export function listOf(value: unknown, operation: string, what: string): Answer[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value) && value.every((item) => typeof item === 'object' && item !== null))
    return value as Answer[];
  throw invalid(operation, what);
}

/** A text that must be there. */
export function textOf(value: unknown, operation: string, what: string): string {
  if (typeof value === 'string') return value;
  throw invalid(operation, what);
}

function textsOf(value: unknown, operation: string, what: string): string[] {
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value as string[];
  throw invalid(operation, what);
}

function timeOf(value: unknown): number | undefined {
  return value instanceof Date && !Number.isNaN(value.getTime()) ? value.getTime() : undefined;
}

function invalid(operation: string, what: string): Error {
  return awsInvalid('aws', operation, what);
}
