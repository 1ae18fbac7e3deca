import { coreError, type MnopsError, UnsupportedError } from '@mnops/core';
import { configError } from '@mnops/core/config';
import type { Call, Clock, SecretProvider, SecretPutOptions, SecretVersionRecord } from '@mnops/core/spi';
import { reasonOf } from './aws-error.js';
import { type AwsSecret, holderOf, valueFields } from './secret-answers.js';
import { conflict, isNotFound, isPendingDeletion, notFound } from './secret-errors.js';
import {
  assertStage,
  factsLabel,
  factsOf,
  isFactsLabel,
  isVersionId,
  labelOf,
  stagesOf,
  versionOfToken,
} from './secret-labels.js';
import { secretNameOf } from './secret-name.js';
import { allVersions, describeSecret } from './secret-reads.js';
import { annotationKey, annotationTag, isUserKey, userTags } from './secret-tags.js';
import type { Answer, SecretsSender } from './secrets-client.js';

const provider = 'aws';

/** Largest value, bytes. */
export const maxValueBytes = 65_536;

type Writes = Required<Pick<SecretProvider, 'put' | 'annotate' | 'setStage' | 'delete' | 'restore'>>;

interface Write {
  readonly path: string;
  readonly SecretId: string;
  readonly version: string;
  readonly value: ReturnType<typeof valueFields>;
  /** Label that holds expiry and content type, where there are any. */
  readonly facts: string | undefined;
  readonly how: SecretPutOptions;
}

/** The writing half of the provider. */
export function secretWrites(send: SecretsSender, clock: Pick<Clock, 'now'>): Writes {
  const move = (
    operation: string,
    path: string,
    change: { readonly label: string; readonly from?: string | undefined; readonly to?: string | undefined },
    call: Call,
  ): Promise<Answer> => {
    const { label: VersionStage, from: RemoveFromVersionId, to: MoveToVersionId } = change;
    const input = { SecretId: secretNameOf(path), VersionStage, RemoveFromVersionId, MoveToVersionId };
    return send(operation, 'UpdateSecretVersionStageCommand', input, call);
  };

  async function existing(path: string, operation: string, call: Call): Promise<AwsSecret> {
    const secret = await describeSecret(send, path, operation, call);
    if (secret === undefined) throw notFound(path);
    return secret;
  }

  /** Stores the value where the secret exists; labels for facts make room where there are too many. */
  async function store(write: Write, labels: readonly string[], call: Call): Promise<readonly string[]> {
    const { SecretId, version: ClientRequestToken, value, path } = write;
    const input = { SecretId, ClientRequestToken, ...value, VersionStages: labels };
    let answer: Answer;
    try {
      answer = await send('put', 'PutSecretValueCommand', input, call);
    } catch (error) {
      if (reasonOf(error) !== 'LimitExceededException' || !(await madeRoom(path, call))) throw error;
      answer = await send('put', 'PutSecretValueCommand', input, call);
    }
    const attached = answer['VersionStages'];
    return Array.isArray(attached) ? (attached as string[]) : labels;
  }

  /** Takes the facts from versions that no stage points at. */
  async function madeRoom(path: string, call: Call): Promise<boolean> {
    const { labels } = await existing(path, 'put', call);
    const idle = [...labels].filter(([, attached]) => attached.every(isFactsLabel));
    for (const [from, attached] of idle) for (const label of attached) await move('put', path, { label, from }, call);
    return idle.length > 0;
  }

  async function create(write: Write, call: Call): Promise<readonly string[]> {
    const { SecretId: Name, version, value, how, path, facts } = write;
    const { stages, tags = {} } = how;
    if (!stages.includes('current')) throw firstIsCurrent(path);
    const Tags = userTags(tags);
    const input = { Name, ClientRequestToken: version, ...value, Tags: Tags.length === 0 ? undefined : Tags };
    await send('put', 'CreateSecretCommand', input, call);
    const more = [...stages.filter((stage) => stage !== 'current').map(labelOf), facts].filter(
      (label) => label !== undefined,
    );
    for (const label of more) await move('put', path, { label, to: version }, call);
    return ['AWSCURRENT', ...more];
  }

  async function replaceTags(path: string, secret: AwsSecret, tags: Readonly<Record<string, string>>, call: Call) {
    const SecretId = secretNameOf(path);
    const Tags = userTags(tags);
    const kept = new Set(Tags.map(({ Key }) => Key));
    const TagKeys = secret.tags.map(({ Key }) => Key).filter((key) => isUserKey(key) && !kept.has(key));
    if (TagKeys.length > 0) await send('put', 'UntagResourceCommand', { SecretId, TagKeys }, call);
    if (Tags.length > 0) await send('put', 'TagResourceCommand', { SecretId, Tags }, call);
  }

  async function putAny(write: Write, call: Call): Promise<readonly string[]> {
    const { how, path, facts } = write;
    const labels = [...how.stages.map(labelOf), ...(facts === undefined ? [] : [facts])];
    const update = async (): Promise<readonly string[]> => {
      const attached = await store(write, labels, call);
      if (how.tags !== undefined) await replaceTags(path, await existing(path, 'put', call), how.tags, call);
      return attached;
    };
    try {
      return await update();
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    try {
      return await create(write, call);
    } catch (error) {
      // Somebody else made it meanwhile.
      if (reasonOf(error) !== 'ResourceExistsException') throw error;
    }
    return await update();
  }

  /** The value is stored under a label of its own and becomes current only if the expected version still is. */
  async function putIf(write: Write, expected: string, call: Call): Promise<readonly string[]> {
    const { path, how, version } = write;
    const secret = await describeSecret(send, path, 'put', call);
    const before = secret && holderOf(secret, 'AWSCURRENT');
    if (secret === undefined || before !== expected) {
      const known = secret?.labels.get(version);
      if (known?.some((label) => label === 'AWSCURRENT' || label === 'AWSPREVIOUS')) return known;
      throw conflict(path, `its current version is not ${expected}`, before);
    }
    const own = write.facts ?? `mnops-write-${version}`;
    const isCurrent = how.stages.includes('current');
    const others = how.stages.filter((stage) => stage !== 'current').map(labelOf);
    const attached = await store(write, [...others, own], call);
    if (isCurrent) {
      try {
        await move('put', path, { label: 'AWSCURRENT', from: expected, to: version }, call);
      } catch (error) {
        if (reasonOf(error) !== 'InvalidParameterException') throw error;
        // Nothing points at it then: AWS forgets it in time.
        for (const label of [...others, own])
          await move('put', path, { label, from: version }, call).catch(() => undefined);
        throw conflict(path, `its current version is not ${expected}`);
      }
    }
    if (write.facts === undefined) await move('put', path, { label: own, from: version }, call);
    if (how.tags !== undefined) await replaceTags(path, secret, how.tags, call);
    return isCurrent ? ['AWSCURRENT', ...attached] : attached;
  }

  async function putNew(write: Write, call: Call): Promise<readonly string[]> {
    try {
      return await create(write, call);
    } catch (error) {
      if (reasonOf(error) === 'ResourceExistsException') throw conflict(write.path, 'it exists');
      throw error;
    }
  }

  return {
    async put(path, value, how, call): Promise<SecretVersionRecord> {
      call.signal.throwIfAborted();
      assertValue(path, value);
      for (const stage of how.stages) assertStage(stage);
      if (how.stages.length === 0 || how.stages.length > 19) throw stageCount();
      const version = versionOfToken(how.token);
      const SecretId = secretNameOf(path);
      const write: Write = { path, SecretId, version, value: valueFields(value), facts: factsLabel(version, how), how };
      const { ifVersion } = how;
      const attached =
        ifVersion === undefined
          ? await putAny(write, call)
          : ifVersion === null
            ? await putNew(write, call)
            : await putIf(write, ifVersion, call);
      const { expiresAtMs } = how;
      return { version, stages: stagesOf(attached), state: 'enabled', createdAtMs: clock.now(), expiresAtMs };
    },
    async annotate(path, { expiresAtMs, annotations = {} }, call) {
      const secret = await existing(path, 'annotate', call);
      const SecretId = secretNameOf(path);
      const entries = Object.entries(annotations);
      const Tags = entries.flatMap(([name, value]) => (value === null ? [] : [annotationTag(name, value)]));
      const TagKeys = entries.flatMap(([name, value]) => (value === null ? [annotationKey(name)] : []));
      const current = expiresAtMs === undefined ? undefined : holderOf(secret, 'AWSCURRENT');
      if (current !== undefined) {
        const attached = secret.labels.get(current) ?? [];
        const { contentType } = factsOf(attached);
        const next = factsLabel(current, { expiresAtMs: expiresAtMs ?? undefined, contentType });
        if (next !== undefined && !attached.includes(next))
          await move('annotate', path, { label: next, to: current }, call);
        for (const label of attached)
          if (isFactsLabel(label) && label !== next) await move('annotate', path, { label, from: current }, call);
      }
      if (Tags.length > 0) await send('annotate', 'TagResourceCommand', { SecretId, Tags }, call);
      if (TagKeys.length > 0) await send('annotate', 'UntagResourceCommand', { SecretId, TagKeys }, call);
    },
    async setStage(path, stage, { from, to }, call) {
      call.signal.throwIfAborted();
      assertStage(stage);
      const label = labelOf(stage);
      if (to === null && stage === 'current') throw currentStays();
      for (const version of [from, to])
        if (version !== null && !isVersionId(version)) throw await unknownVersion(path, version, call);
      if (from === null && to === null) {
        const held = holderOf(await existing(path, 'setStage', call), label);
        if (held !== undefined) throw stageElsewhere(path, stage, from);
        return;
      }
      try {
        await move('setStage', path, { label, from: from ?? undefined, to: to ?? undefined }, call);
      } catch (error) {
        throw await whyNotMoved(error, path, stage, from, to, call);
      }
    },
    async delete(path, { versions, permanent = false, recoveryDays }, call) {
      call.signal.throwIfAborted();
      if (versions !== undefined) throw wholeOnly();
      assertDays(permanent ? undefined : recoveryDays);
      const days = recoveryDays === undefined ? {} : { RecoveryWindowInDays: recoveryDays };
      const how = permanent ? { ForceDeleteWithoutRecovery: true } : days;
      try {
        await send('delete', 'DeleteSecretCommand', { SecretId: secretNameOf(path), ...how }, call);
      } catch (error) {
        if (!isNotFound(error) && !(isPendingDeletion(error) && !permanent)) throw error;
      }
    },
    async restore(path, { versions }, call) {
      call.signal.throwIfAborted();
      if (versions !== undefined) throw wholeOnly();
      try {
        await send('restore', 'RestoreSecretCommand', { SecretId: secretNameOf(path) }, call);
      } catch (error) {
        throw isNotFound(error) ? notFound(path) : error;
      }
    },
  };

  /** AWS has one name for several reasons: what is there now says which one it was. */
  async function whyNotMoved(
    error: unknown,
    path: string,
    stage: string,
    from: string | null,
    to: string | null,
    call: Call,
  ): Promise<unknown> {
    const reason = reasonOf(error);
    if (reason !== 'InvalidParameterException' && reason !== 'InvalidRequestException' && !isNotFound(error))
      return error;
    const secret = await describeSecret(send, path, 'setStage', call);
    if (secret === undefined) return notFound(path);
    if ((holderOf(secret, labelOf(stage)) ?? null) !== from) return stageElsewhere(path, stage, from);
    const known = await allVersions(send, path, 'setStage', call);
    if (to !== null && !known.some(({ version }) => version === to)) return notFound(path, `version ${to}`);
    return error;
  }

  async function unknownVersion(path: string, version: string, call: Call): Promise<MnopsError> {
    await existing(path, 'setStage', call);
    return notFound(path, `version ${version}`);
  }
}

function assertValue(path: string, { length }: Uint8Array): void {
  if (length === 0) {
    const issue = { field: 'value', expected: 'at least one byte', received: 'none', remedy: 'Store a value.' };
    throw configError('awsSecretsManager', [issue]);
  }
  if (length <= maxValueBytes) return;
  const message = `aws: the value for ${path} has ${length} bytes, over ${maxValueBytes}.`;
  throw coreError('MNOPS_CORE_TOO_LARGE', message, { provider, details: { path, bytes: length, maxValueBytes } });
}

function assertDays(days: number | undefined): void {
  if (days === undefined || (Number.isInteger(days) && days >= 7 && days <= 30)) return;
  const expected = 'a whole number from 7 to 30';
  const remedy = 'Choose such a number, or `permanent: true`.';
  throw configError('awsSecretsManager', [{ field: 'recoveryDays', expected, received: String(days), remedy }]);
}

function firstIsCurrent(path: string): MnopsError {
  return new UnsupportedError(`aws: the first version of ${path} would become current, whatever its stage.`, {
    provider,
    remedy: 'Write a current value first.',
  });
}

function currentStays(): MnopsError {
  return new UnsupportedError('aws: the stage current can be moved, not removed.', {
    provider,
    remedy: 'Move it to another version, or delete the secret.',
  });
}

function wholeOnly(): MnopsError {
  return new UnsupportedError('aws: single versions cannot be deleted or restored.', {
    provider,
    remedy: 'Delete or restore the whole secret.',
  });
}

function stageCount(): MnopsError {
  return new UnsupportedError('aws: a version is written with 1 to 19 stages.', {
    provider,
    remedy: 'Use fewer stages.',
  });
}

function stageElsewhere(path: string, stage: string, from: string | null): MnopsError {
  return conflict(path, `its stage ${stage} is not on version ${from ?? 'none'}`);
}
