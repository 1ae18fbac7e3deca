import { coreError, type MnopsError, UnsupportedError } from '@mnops/core';
import type { Call, SecretSelector, SecretStage, SecretVersionState } from '@mnops/core/spi';
import { secretsError } from '../../codes.js';
import { pendingSuffix, secretNameOf } from './secret-name.js';
import type { VaultCalls } from './vault-calls.js';
import type { VaultSecret } from './vault-secret.js';

const provider = 'azure';

/** A secret and the one beside it that holds its pending value. */
export interface VaultPair {
  readonly path: string;
  readonly name: string;
  readonly side: string;
}

/** What is there of a pair, also of versions that may not be read. */
export interface VaultState {
  readonly current: VaultSecret | undefined;
  /** Absent also when the pending value was promoted or discarded. */
  readonly pending: VaultSecret | undefined;
}

/** The two names of a path. */
export function pairOf(path: string): VaultPair {
  const name = secretNameOf(path);
  return { path, name, side: `${name}${pendingSuffix}` };
}

/** The newest version of a secret, also when it is disabled. */
export async function newest(
  calls: VaultCalls,
  name: string,
  operation: string,
  call: Call,
): Promise<VaultSecret | undefined> {
  const found = await calls.read(name, undefined, operation, call);
  if (found !== 'disabled') return found;
  const versions = await calls.versions(name, operation, call);
  return [...versions].sort((a, b) => b.createdAtMs - a.createdAtMs)[0];
}

/** Current and pending version. */
export async function stateOf(calls: VaultCalls, pair: VaultPair, operation: string, call: Call): Promise<VaultState> {
  const current = await newest(calls, pair.name, operation, call);
  return { current, pending: await pendingOf(calls, pair, operation, call) };
}

/** The pending version. */
export async function pendingOf(
  calls: VaultCalls,
  { side }: VaultPair,
  operation: string,
  call: Call,
): Promise<VaultSecret | undefined> {
  const found = await calls.read(side, undefined, operation, call);
  return found === 'disabled' ? undefined : found;
}

/** Id of the version with stage `previous`: by tag, else the newest but one where another program wrote. */
export async function previousOf(
  calls: VaultCalls,
  current: VaultSecret,
  operation: string,
  call: Call,
): Promise<string | undefined> {
  if (current.facts.previous !== undefined) return current.facts.previous ?? undefined;
  const versions = await calls.versions(current.name, operation, call);
  const others = versions.filter(({ version }) => version !== current.version);
  return others.sort((a, b) => b.createdAtMs - a.createdAtMs)[0]?.version;
}

/** A version by its id, read with its value: of the secret, of the one beside it, or a copy in the secret. */
export async function versionById(
  calls: VaultCalls,
  pair: VaultPair,
  version: string,
  operation: string,
  call: Call,
): Promise<VaultSecret | undefined> {
  if (!/^[0-9a-f]{32}$/.test(version)) return undefined;
  for (const name of [pair.name, pair.side]) {
    const found = await calls.read(name, version, operation, call);
    if (found === undefined) continue;
    if (found !== 'disabled') return found;
    // The version beside stays disabled after its promotion; the copy is the one that counts.
    const copy = name === pair.side ? await copyOf(calls, pair, version, operation, call) : undefined;
    if (copy !== undefined) return copy;
    throw unavailable(pair.path, version, 'deleted');
  }
  return await copyOf(calls, pair, version, operation, call);
}

async function copyOf(
  calls: VaultCalls,
  pair: VaultPair,
  version: string,
  operation: string,
  call: Call,
): Promise<VaultSecret | undefined> {
  const versions = await calls.versions(pair.name, operation, call);
  const copy = versions.find((each) => each.version === version && each.id !== version);
  if (copy?.id === undefined) return undefined;
  const found = await calls.read(pair.name, copy.id, operation, call);
  if (found === 'disabled') throw unavailable(pair.path, version, 'deleted');
  return found;
}

/** The version that a selector means, with its value and stages. */
export async function selected(
  calls: VaultCalls,
  pair: VaultPair,
  at: SecretSelector,
  call: Call,
): Promise<{ readonly secret: VaultSecret; readonly stages: readonly SecretStage[] } | undefined> {
  const operation = 'get';
  const { stage, version } = at;
  if (stage === 'pending') {
    const pending = await pendingOf(calls, pair, operation, call);
    const meant = pending !== undefined && (version === undefined || version === pending.version);
    return meant ? { secret: pending, stages: ['pending'] } : undefined;
  }
  if (stage !== undefined && stage !== 'current' && stage !== 'previous') return undefined;
  const current = await calls.read(pair.name, undefined, operation, call);
  if (current === undefined && version === undefined) return undefined;
  if (current === 'disabled' && version === undefined && stage !== 'previous') {
    const known = await newest(calls, pair.name, operation, call);
    throw unavailable(pair.path, known?.version ?? 'current', 'deleted');
  }
  const known = current === 'disabled' ? await newest(calls, pair.name, operation, call) : current;
  if (
    stage !== 'previous' &&
    current !== 'disabled' &&
    current !== undefined &&
    (version ?? current.version) === current.version
  )
    return { secret: current, stages: ['current'] };
  if (stage === 'current') return undefined;
  const previous = known && (await previousOf(calls, known, operation, call));
  const wanted = stage === 'previous' ? previous : version;
  if (wanted === undefined || (version !== undefined && version !== wanted)) return undefined;
  const secret = await versionById(calls, pair, wanted, operation, call);
  return secret && { secret, stages: wanted === previous ? ['previous'] : [] };
}

/** The error for a version that is there and cannot be read. */
export function unavailable(
  path: string,
  version: string,
  state: Exclude<SecretVersionState, 'enabled'> | 'not-yet-valid',
): MnopsError {
  return secretsError('MNOPS_SECRETS_VERSION_UNAVAILABLE', `Version ${version} of the secret ${path} is ${state}.`, {
    provider,
    details: { path, version, state },
  });
}

/** The error for a change to what is not there. */
export function notFound(path: string, what?: string): MnopsError {
  const message = what === undefined ? `There is no secret ${path}.` : `The secret ${path} has no ${what}.`;
  return coreError('MNOPS_CORE_NOT_FOUND', message, { provider, details: { path } });
}

/** The error for a stage that is not on the version that the caller thought. */
export function conflict(path: string, stage: string, from: string | null): MnopsError {
  return coreError(
    'MNOPS_CORE_CONFLICT',
    `The secret ${path} was not changed: its stage ${stage} is not on version ${from ?? 'none'}.`,
    {
      provider,
      details: { path },
    },
  );
}

/** The error for an ability that the vault has not. */
export function unsupported(what: string): UnsupportedError {
  return new UnsupportedError(`azure: Key Vault has no ${what}.`, { provider });
}
