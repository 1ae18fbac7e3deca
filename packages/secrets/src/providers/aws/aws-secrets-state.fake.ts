import { randomBytes } from 'node:crypto';

/** One version as the fake keeps it. */
export interface FakeAwsVersion {
  readonly id: string;
  readonly text: string | undefined;
  /** Base64. */
  readonly binary: string | undefined;
  /** Epoch seconds. */
  readonly createdAt: number;
  readonly stages: Set<string>;
  accessedAt?: number;
}

/** One secret as the fake keeps it. */
export interface FakeAwsSecret {
  readonly name: string;
  readonly arn: string;
  readonly createdAt: number;
  /** Oldest first. */
  readonly versions: Map<string, FakeAwsVersion>;
  description: string | undefined;
  changedAt: number;
  accessedAt?: number;
  deletedAt?: number;
  /** Absent until the first tag. */
  tags?: Map<string, string>;
  policy?: string;
  rotation?: { readonly lambda: string; readonly rules: unknown; readonly rotatedAt: number };
}

/** What Secrets Manager refuses, by the name of its error. */
export class FakeAwsRefusal extends Error {
  override readonly name = 'FakeAwsRefusal';
  readonly type: string;

  constructor(type: string, message: string) {
    super(message);
    this.type = type;
  }
}

/** The refusal that was thrown; anything else is thrown on. */
export function refusalOf(error: unknown): FakeAwsRefusal {
  if (error instanceof Error && error.name === 'FakeAwsRefusal') return error as FakeAwsRefusal;
  throw error;
}

/** Most labels on all versions of a secret together. */
const maxLabels = 20;

const midnight = (seconds: number): number => seconds - (seconds % 86_400);

/** Seconds with milliseconds, as the service writes times. */
export function nowSeconds(): number {
  return Date.now() / 1_000;
}

/** A secret without versions. */
export function newSecret(name: string, region: string, description: string | undefined): FakeAwsSecret {
  const at = nowSeconds();
  return { name, arn: arnOf(name, region), createdAt: at, changedAt: at, versions: new Map(), description };
}

/** An ARN ends in six characters of the service's choice. */
export function arnOf(name: string, region: string): string {
  const ending = randomBytes(3).toString('hex');
  return `arn:aws:secretsmanager:${region}:111111111111:secret:${name}-${ending}`;
}

/** The version that has a label. */
export function holderOf(secret: FakeAwsSecret, label: string): FakeAwsVersion | undefined {
  return [...secret.versions.values()].find(({ stages }) => stages.has(label));
}

/** Moves a label; `AWSCURRENT` leaves `AWSPREVIOUS` behind, and takes `AWSPENDING` off the version it leaves. */
export function moveLabel(secret: FakeAwsSecret, label: string, to: FakeAwsVersion): void {
  const from = holderOf(secret, label);
  if (from === to) return;
  from?.stages.delete(label);
  to.stages.add(label);
  if (label !== 'AWSCURRENT' || from === undefined) return;
  from.stages.delete('AWSPENDING');
  holderOf(secret, 'AWSPREVIOUS')?.stages.delete('AWSPREVIOUS');
  from.stages.add('AWSPREVIOUS');
}

/** Stores a version once per token. */
export function addVersion(
  secret: FakeAwsSecret,
  token: string,
  value: { readonly text: string | undefined; readonly binary: string | undefined },
  labels: readonly string[],
): FakeAwsVersion {
  const known = secret.versions.get(token);
  if (known !== undefined) {
    if (known.text === value.text && known.binary === value.binary) return known;
    const text = `You can't use ClientRequestToken ${token} because that value is already in use for a version of secret ${secret.arn}.`;
    throw new FakeAwsRefusal('ResourceExistsException', text);
  }
  const used = new Set([...secret.versions.values()].flatMap(({ stages }) => [...stages]));
  for (const label of labels) used.add(label);
  if (used.size > maxLabels)
    throw new FakeAwsRefusal('LimitExceededException', 'You have exceeded the limit of staging labels for the secret.');
  const version: FakeAwsVersion = { id: token, ...value, createdAt: nowSeconds(), stages: new Set() };
  const isFirst = secret.versions.size === 0;
  secret.versions.set(token, version);
  for (const label of isFirst ? new Set([...labels, 'AWSCURRENT']) : labels) moveLabel(secret, label, version);
  secret.changedAt = nowSeconds();
  return version;
}

/** The version that a read means. */
export function selectVersion(
  secret: FakeAwsSecret,
  id: string | undefined,
  label: string | undefined,
): FakeAwsVersion {
  const missing = (what: string): FakeAwsRefusal =>
    new FakeAwsRefusal(
      'ResourceNotFoundException',
      `Secrets Manager can't find the specified secret value for ${what}`,
    );
  if (id === undefined) {
    const wanted = label ?? 'AWSCURRENT';
    const found = holderOf(secret, wanted);
    if (found === undefined) throw missing(`staging label: ${wanted}`);
    return found;
  }
  const found = secret.versions.get(id);
  if (found === undefined) throw missing(`VersionId: ${id}`);
  if (label !== undefined && !found.stages.has(label)) {
    const text = 'You provided a VersionStage that is not associated to the provided VersionId.';
    throw new FakeAwsRefusal('InvalidRequestException', text);
  }
  return found;
}

/** Notes a read, to the day. */
export function touched(secret: FakeAwsSecret, version: FakeAwsVersion): void {
  const day = midnight(nowSeconds());
  secret.accessedAt = day;
  version.accessedAt = day;
}

/** Moves a label as a compare-and-set on the version that has it. */
export function updateStage(
  secret: FakeAwsSecret,
  label: string,
  from: string | undefined,
  to: string | undefined,
): void {
  const holder = holderOf(secret, label);
  if (from !== undefined && holder?.id !== from) {
    const text = `The parameter RemoveFromVersionId can't be ${from}. Staging label ${label} isn't currently attached to that version.`;
    throw new FakeAwsRefusal('InvalidParameterException', text);
  }
  if (to === undefined) {
    if (label === 'AWSCURRENT')
      throw new FakeAwsRefusal(
        'InvalidParameterException',
        "You can only move staging label AWSCURRENT to a different secret version. It can't be completely removed.",
      );
    if (from === undefined) throw new FakeAwsRefusal('InvalidParameterException', 'You must provide a version.');
    holder?.stages.delete(label);
  } else {
    const target = selectVersion(secret, to, undefined);
    if (holder !== undefined && holder !== target && from === undefined) {
      const text = `The parameter RemoveFromVersionId can't be empty. Staging label ${label} is currently attached to version ${holder.id}, so you must explicitly reference that version in RemoveFromVersionId.`;
      throw new FakeAwsRefusal('InvalidParameterException', text);
    }
    moveLabel(secret, label, target);
  }
  secret.changedAt = nowSeconds();
}

/** What DescribeSecret says. */
export function described(secret: FakeAwsSecret): Record<string, unknown> {
  const { rotation, tags } = secret;
  const labelled = [...secret.versions.values()].filter(({ stages }) => stages.size > 0);
  const days = (rotation?.rules as { AutomaticallyAfterDays?: number } | undefined)?.AutomaticallyAfterDays ?? 1;
  return {
    ...facts(secret),
    ...(labelled.length === 0 ? {} : { VersionIdsToStages: stagesById(labelled) }),
    ...(tags === undefined ? {} : { Tags: [...tags].map(([Key, Value]) => ({ Key, Value })) }),
    ...(rotation === undefined
      ? {}
      : {
          RotationEnabled: true,
          RotationLambdaARN: rotation.lambda,
          RotationRules: rotation.rules,
          LastRotatedDate: rotation.rotatedAt,
          NextRotationDate: rotation.rotatedAt + days * 86_400,
        }),
  };
}

/** What ListSecrets says. */
export function listed(secret: FakeAwsSecret): Record<string, unknown> {
  const { VersionIdsToStages, ...rest } = described(secret);
  return { ...rest, ...(VersionIdsToStages === undefined ? {} : { SecretVersionsToStages: VersionIdsToStages }) };
}

/** What ListSecretVersionIds says of one version. */
export function listedVersion({ id, createdAt, accessedAt, stages }: FakeAwsVersion): Record<string, unknown> {
  return {
    VersionId: id,
    ...(stages.size === 0 ? {} : { VersionStages: [...stages].sort() }),
    CreatedDate: createdAt,
    KmsKeyIds: ['DefaultEncryptionKey'],
    ...(accessedAt === undefined ? {} : { LastAccessedDate: accessedAt }),
  };
}

function stagesById(versions: readonly FakeAwsVersion[]): Record<string, string[]> {
  return Object.fromEntries(versions.map(({ id, stages }) => [id, [...stages].sort()]));
}

function facts(secret: FakeAwsSecret): Record<string, unknown> {
  const { name, arn, createdAt, changedAt, accessedAt, deletedAt, description } = secret;
  return {
    ARN: arn,
    Name: name,
    CreatedDate: createdAt,
    LastChangedDate: changedAt,
    ...(description === undefined || description === '' ? {} : { Description: description }),
    ...(accessedAt === undefined ? {} : { LastAccessedDate: accessedAt }),
    ...(deletedAt === undefined ? {} : { DeletedDate: deletedAt }),
  };
}
