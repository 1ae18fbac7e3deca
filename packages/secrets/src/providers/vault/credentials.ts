import { coreError } from '@mnops/core';
import type { Call, IssuedSecret } from '@mnops/core/spi';
import { objectAt } from './answers.js';
import type { VaultConnection } from './connection.js';
import { answerInvalid, providerId, vaultError } from './vault-error.js';
import { wirePath } from './wire-path.js';

/** A credential that a secrets engine makes for this caller, such as a database user. */
export async function issueCredential(
  connection: VaultConnection,
  path: string,
  ttlMs: number | undefined,
  call: Call,
): Promise<IssuedSecret> {
  const operation = 'issue';
  const { status, body } = await connection.request(
    { method: 'GET', path: wirePath(path), operation, repeatable: false },
    call,
  );
  if (status === 404) {
    throw coreError('MNOPS_CORE_NOT_FOUND', `${providerId}: nothing issues credentials at ${path}.`, {
      provider: providerId,
      operation,
      details: { path },
      remedy: 'Give the path of a role, such as `database/creds/readonly`.',
    });
  }
  if (status !== 200) throw vaultError(status, operation);
  const answer = objectAt(body);
  const data = objectAt(answer, 'data');
  const leaseId = answer?.['lease_id'];
  const seconds = answer?.['lease_duration'];
  const renewable = answer?.['renewable'] === true;
  if (typeof leaseId !== 'string' || leaseId === '') throw answerInvalid(operation, 'lease_id');
  if (typeof seconds !== 'number' || !(seconds > 0)) throw answerInvalid(operation, 'lease_duration');
  if (data === undefined) throw answerInvalid(operation, 'data');
  return {
    value: Buffer.from(JSON.stringify(data)),
    leaseId,
    ttlMs: await wished(connection, { leaseId, ttlMs: seconds * 1_000, renewable }, ttlMs, call),
    renewable,
    contentType: 'application/json',
  };
}

/** Roles decide how long a new credential lives; a wish is a renewal at once. What is not granted stays as it was. */
async function wished(
  connection: VaultConnection,
  granted: { readonly leaseId: string; readonly ttlMs: number; readonly renewable: boolean },
  ttlMs: number | undefined,
  call: Call,
): Promise<number> {
  if (ttlMs === undefined || !granted.renewable || Math.ceil(ttlMs / 1_000) * 1_000 === granted.ttlMs)
    return granted.ttlMs;
  try {
    return (await renewCredential(connection, granted.leaseId, ttlMs, call)).ttlMs;
  } catch {
    return granted.ttlMs;
  }
}

/** Prolongs a lease from now on; Vault may grant less than the wish. */
export async function renewCredential(
  connection: VaultConnection,
  leaseId: string,
  ttlMs: number | undefined,
  call: Call,
): Promise<{ readonly ttlMs: number }> {
  const operation = 'renew';
  const wish = ttlMs === undefined ? {} : { increment: Math.max(1, Math.ceil(ttlMs / 1_000)) };
  const body = { lease_id: leaseId, ...wish };
  const request = { method: 'PUT', path: 'sys/leases/renew', body, operation, repeatable: true } as const;
  const { status, body: answer } = await connection.request(request, call);
  const seconds = objectAt(answer)?.['lease_duration'];
  // Vault answers 400 for a lease that has ended, was revoked or cannot be renewed.
  if (status === 400 || status === 404 || (status === 200 && seconds === 0)) {
    throw coreError('MNOPS_CORE_NOT_FOUND', `${providerId}: the lease has ended or cannot be renewed.`, {
      provider: providerId,
      operation,
      details: { leaseId },
    });
  }
  if (status !== 200) throw vaultError(status, operation);
  if (typeof seconds !== 'number' || !(seconds > 0)) throw answerInvalid(operation, 'lease_duration');
  return { ttlMs: seconds * 1_000 };
}

/** Ends a lease at once; one that has ended is success. */
export async function revokeCredential(connection: VaultConnection, leaseId: string, call: Call): Promise<void> {
  const operation = 'revoke';
  const body = { lease_id: leaseId, sync: true };
  const request = { method: 'PUT', path: 'sys/leases/revoke', body, operation, repeatable: true } as const;
  const { status } = await connection.request(request, call);
  if (status !== 200 && status !== 204 && status !== 400 && status !== 404) throw vaultError(status, operation);
}
