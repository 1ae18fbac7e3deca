import { coreError, MnopsError } from '@mnops/core';
import type { Call, Clock, SecretProvider, SecretRecord, StoredSecret } from '@mnops/core/spi';
import { awsError, awsInvalid, reasonOf, safeName } from './aws-error.js';
import {
  type AwsSecret,
  type AwsVersion,
  listOf,
  recordOfSecret,
  recordOfVersion,
  secretIn,
  textOf,
  valueIn,
  versionsIn,
} from './secret-answers.js';
import { deleted, isNotFound, isPendingDeletion } from './secret-errors.js';
import { isVersionId, labelOf } from './secret-labels.js';
import { namePrefixOf, pathOfName, secretNameOf } from './secret-name.js';
import type { Answer, SecretsSender } from './secrets-client.js';

const maxListed = 100_000;
/** After a refused batch only single reads are made for so long. */
const batchPauseMs = 900_000;
/** A batch of twenty values is answered in a few pages. */
const maxBatchPages = 20;

type Reads = Required<Pick<SecretProvider, 'get' | 'getMany' | 'describe' | 'listVersions' | 'list'>>;

/** The reading half of the provider. */
export function secretReads(send: SecretsSender, clock: Pick<Clock, 'monotonic'>): Reads {
  let noBatchUntilMs = Number.NEGATIVE_INFINITY;

  const get: Reads['get'] = async (path, { version, stage }, call) => {
    call.signal.throwIfAborted();
    const SecretId = secretNameOf(path);
    const label = stage === undefined ? undefined : labelOf(stage);
    if (version !== undefined && !isVersionId(version)) return undefined;
    if (label !== undefined && (label.length < 1 || label.length > 256)) return undefined;
    // Asked without a stage, some servers that speak the protocol answer an older version.
    const VersionStage = label ?? (version === undefined ? 'AWSCURRENT' : undefined);
    try {
      const input = { SecretId, VersionId: version, VersionStage };
      const answer = await send('get', 'GetSecretValueCommand', input, call);
      assertAsked('aws', answer, SecretId, version);
      return valueIn(answer, 'get');
    } catch (error) {
      if (isNotFound(error)) return undefined;
      if (isPendingDeletion(error)) throw deleted(path);
      // Both were given, and they are not the same version.
      if (version !== undefined && label !== undefined && reasonOf(error) === 'InvalidRequestException')
        return undefined;
      throw error;
    }
  };

  async function batch(names: ReadonlyMap<string, string>, call: Call) {
    const found = new Map<string, StoredSecret>();
    const absent: string[] = [];
    const failed = new Map<string, Error>();
    let NextToken: unknown;
    for (let page = 0; page === 0 || NextToken !== undefined; page += 1) {
      if (page === maxBatchPages) throw awsInvalid('aws', 'getMany', 'NextToken');
      const input = { SecretIdList: [...names.keys()], NextToken };
      const answer = await send('getMany', 'BatchGetSecretValueCommand', input, call);
      for (const item of listOf(answer['SecretValues'], 'getMany', 'SecretValues')) {
        const path = names.get(textOf(item['Name'], 'getMany', 'Name'));
        if (path === undefined) continue;
        try {
          found.set(path, valueIn(item, 'getMany'));
        } catch (error) {
          failed.set(path, error as Error);
        }
      }
      for (const item of listOf(answer['Errors'], 'getMany', 'Errors')) {
        const path = names.get(textOf(item['SecretId'], 'getMany', 'SecretId'));
        if (path === undefined) continue;
        const error = batchError(item);
        if (isNotFound(error)) absent.push(path);
        else failed.set(path, isPendingDeletion(error) ? deleted(path) : error);
      }
      NextToken = nextTokenOf(answer);
    }
    for (const path of names.values())
      if (!found.has(path) && !failed.has(path) && !absent.includes(path))
        failed.set(path, awsInvalid('aws', 'getMany', 'outcome for each secret'));
    return { found, absent, failed };
  }

  async function singly(paths: readonly string[], call: Call) {
    const answers = await Promise.allSettled(paths.map((path) => get(path, {}, call)));
    call.signal.throwIfAborted();
    const found = new Map<string, StoredSecret>();
    const absent: string[] = [];
    const failed = new Map<string, Error>();
    for (const [index, answer] of answers.entries()) {
      const path = paths[index] as string;
      if (answer.status === 'rejected') failed.set(path, answer.reason as Error);
      else if (answer.value === undefined) absent.push(path);
      else found.set(path, answer.value);
    }
    return { found, absent, failed };
  }

  return {
    get,
    async getMany(paths, call) {
      call.signal.throwIfAborted();
      if (paths.length === 0) return { found: new Map(), absent: [], failed: new Map() };
      const names = new Map(paths.map((path) => [secretNameOf(path), path]));
      if (clock.monotonic() < noBatchUntilMs) return await singly(paths, call);
      try {
        return await batch(names, call);
      } catch (error) {
        // The batch has a right of its own. And one secret without a value must not cost the others theirs.
        if (MnopsError.is(error, 'MNOPS_CORE_ACCESS_DENIED')) noBatchUntilMs = clock.monotonic() + batchPauseMs;
        else if (!isNotFound(error)) throw error;
        return await singly(paths, call);
      }
    },
    async describe(path, call) {
      const secret = await describeSecret(send, path, 'describe', call);
      return secret && recordOfSecret(secret, path);
    },
    async *listVersions(path, call) {
      const secret = await describeSecret(send, path, 'listVersions', call);
      if (secret === undefined) return;
      const versions = await allVersions(send, path, 'listVersions', call);
      for (const version of versions) yield recordOfVersion(version, secret.deletedAtMs !== undefined);
    },
    async *list(prefix, call) {
      const beginning = namePrefixOf(prefix);
      // A filter that begins with `!` means the others.
      const filtered = beginning !== '' && !beginning.startsWith('!');
      const Filters = filtered ? [{ Key: 'name', Values: [beginning] }] : undefined;
      const found: SecretRecord[] = [];
      const pages = readPages(send, 'list', 'ListSecretsCommand', { Filters, IncludePlannedDeletion: true }, call);
      for await (const answer of pages) {
        for (const item of listOf(answer['SecretList'], 'list', 'SecretList')) {
          const secret = secretIn(item, 'list');
          const path = pathOfName(secret.name);
          if (path?.startsWith(prefix)) found.push(recordOfSecret(secret, path));
        }
        if (found.length > maxListed) throw tooMany();
      }
      yield* found.sort((a, b) => (a.path < b.path ? -1 : 1));
    },
  };
}

/** Refuses an answer about another secret or version than the one that was asked for. */
export function assertAsked(provider: string, answer: Answer, name: string, version: string | undefined): void {
  if (answer['Name'] !== name) throw awsInvalid(provider, 'get', 'Name');
  if (version !== undefined && answer['VersionId'] !== version) throw awsInvalid(provider, 'get', 'VersionId');
}

/** Facts of a secret, also of a deleted one; `undefined` when absent. */
export async function describeSecret(
  send: SecretsSender,
  path: string,
  operation: string,
  call: Call,
): Promise<AwsSecret | undefined> {
  call.signal.throwIfAborted();
  try {
    const SecretId = secretNameOf(path);
    const secret = secretIn(await send(operation, 'DescribeSecretCommand', { SecretId }, call), operation);
    if (secret.name !== SecretId) throw awsInvalid('aws', operation, 'Name');
    return secret;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** All versions, newest first, those without a label included. */
export async function allVersions(
  send: SecretsSender,
  path: string,
  operation: string,
  call: Call,
): Promise<AwsVersion[]> {
  const input = { SecretId: secretNameOf(path), IncludeDeprecated: true };
  const versions: AwsVersion[] = [];
  for await (const answer of readPages(send, operation, 'ListSecretVersionIdsCommand', input, call))
    versions.push(...versionsIn(answer, operation));
  return versions.reverse().sort((a, b) => b.createdAtMs - a.createdAtMs);
}

async function* readPages(
  send: SecretsSender,
  operation: string,
  command: 'ListSecretsCommand' | 'ListSecretVersionIdsCommand',
  input: Readonly<Record<string, unknown>>,
  call: Call,
): AsyncGenerator<Answer, void> {
  let NextToken: unknown;
  do {
    const answer = await send(operation, command, { ...input, MaxResults: 100, NextToken }, call);
    yield answer;
    const next = nextTokenOf(answer);
    if (next !== undefined && next === NextToken) throw awsInvalid('aws', operation, 'NextToken');
    NextToken = next;
  } while (NextToken !== undefined);
}

/** An empty token ends the pages as an absent one does. */
function nextTokenOf({ NextToken: token }: Answer): unknown {
  return token === null || token === '' ? undefined : token;
}

function batchError(item: Answer): MnopsError {
  const { ErrorCode, Message } = item;
  return awsError({
    provider: 'aws',
    operation: 'getMany',
    reason: safeName(ErrorCode),
    text: typeof Message === 'string' ? Message : '',
    status: 400,
    headers: {},
  });
}

function tooMany(): Error {
  return coreError('MNOPS_CORE_TOO_LARGE', `aws: more than ${maxListed} secrets begin so.`, {
    provider: 'aws',
    remedy: 'List with a longer prefix.',
  });
}
