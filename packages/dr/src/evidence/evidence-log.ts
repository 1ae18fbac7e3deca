import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { codeOf } from '@mnops/core';
import { type AuditLog, type AuditVerification, openAuditLog } from '@mnops/core/audit';
import { ensureFolder, writeFileAtomic } from '@mnops/core/files';
import type { AuditRecord, JsonValue } from '@mnops/core/spi';
import type { ResolvedConfig } from '../config.js';
import { userName } from '../repository/identity.js';

/** What a record of evidence is about. */
export type EvidenceKind = 'backup' | 'restore' | 'validate' | 'drill' | 'recovery';

/** Facts of one record. Damage lists are cut: the whole stands in the result of the call. */
export type EvidenceDetails = Readonly<Record<string, JsonValue>>;

const keyName = 'evidence-key.pem';
const publicKeyName = 'evidence-key.pub.pem';

/** Append-only, chained and signed records of what was done and measured. */
export class EvidenceLog {
  readonly #log: AuditLog | undefined;
  readonly #target: string;
  readonly #publicKey: KeyObject | undefined;
  readonly #actor = `${userName()}@${hostname()}`;

  private constructor(log: AuditLog | undefined, target: string, signingKey?: KeyObject | string) {
    this.#log = log;
    this.#target = target;
    this.#publicKey = signingKey === undefined ? undefined : createPublicKey(signingKey);
  }

  /** Opens the log of a configuration; a signing key is made in its folder where none was given. */
  static async open({ audit, folder, service, clock }: ResolvedConfig): Promise<EvidenceLog> {
    if (audit === false) return new EvidenceLog(undefined, service.name);
    const signingKey = audit.signingKey ?? (folder === undefined ? undefined : await ownKey(folder));
    const log = await openAuditLog({
      ...audit,
      ...(signingKey === undefined ? {} : { signingKey }),
      service: service.name,
      ...(clock === undefined ? {} : { clock }),
    });
    return new EvidenceLog(log, service.name, signingKey);
  }

  /** Whether records outlive the process. */
  get durable(): boolean {
    return this.#log?.durable ?? false;
  }

  /** Whether checkpoints are signed. */
  get signed(): boolean {
    return this.#log !== undefined && this.#publicKey !== undefined;
  }

  /** Appends one record, durably where there is a folder or a sink; recoveries and drills end with a signed checkpoint. */
  async record(kind: EvidenceKind, details: EvidenceDetails, error?: unknown): Promise<void> {
    await this.#log?.append({
      actor: this.#actor,
      operation: `dr:${kind}`,
      target: this.#target,
      outcome: error === undefined ? 'ok' : 'failed',
      ...(error === undefined ? {} : { code: codeOf(error) ?? 'unknown' }),
      details,
    });
    if (kind === 'drill' || kind === 'recovery') await this.#log?.checkpoint();
  }

  /** Records of a period, oldest first. */
  async records(from: Date, to: Date): Promise<AuditRecord[]> {
    const found: AuditRecord[] = [];
    if (this.#log === undefined) return found;
    for await (const record of this.#log.query({ from, to })) {
      if (record.operation.startsWith('dr:')) found.push(record);
    }
    return found;
  }

  /** Whether the records are those that were written. */
  async verify(): Promise<AuditVerification | undefined> {
    return await this.#log?.verify({ publicKey: this.#publicKey });
  }

  async close(): Promise<void> {
    await this.#log?.close();
  }
}

/** The key in the folder, made with the first evidence; its public half lies beside it, for verifiers. */
async function ownKey(folder: string): Promise<KeyObject> {
  const path = join(folder, keyName);
  if (existsSync(path)) return createPrivateKey(readFileSync(path));
  await ensureFolder(folder);
  const { privateKey } = generateKeyPairSync('ed25519');
  await writeFileAtomic(path, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'pem' });
  await writeFileAtomic(join(folder, publicKeyName), publicKey, { mode: 0o644 });
  return privateKey;
}
