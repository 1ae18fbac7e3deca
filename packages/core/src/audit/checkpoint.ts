import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { coreError } from '../errors/core-error.js';
import type { JsonValue } from '../spi/base.js';
import type { ChainHead } from './entry.js';

/** State of one chain at a moment. Kept elsewhere, it shows later whether the chain was cut or rewritten. */
export interface AuditCheckpoint {
  readonly writer: string;
  /** Last entry that it covers. */
  readonly sequence: number;
  /** Hash of that entry. */
  readonly hash: string;
  readonly at: Date;
  /** Ed25519 signature in base64, where the log has a signing key. */
  readonly signature?: string | undefined;
  /** The public key, SPKI in base64. A verifier must have it from elsewhere to trust it. */
  readonly publicKey?: string | undefined;
}

/** An Ed25519 key pair for checkpoints. */
export interface CheckpointSigner {
  readonly publicKey: string;
  sign(writer: string, head: ChainHead): string;
}

/** A signer from a private Ed25519 key, as an object or PEM. */
export function checkpointSigner(key: KeyObject | string): CheckpointSigner {
  const privateKey = typeof key === 'string' ? parse(() => createPrivateKey(key), 'private') : key;
  if (privateKey.type !== 'private' || privateKey.asymmetricKeyType !== 'ed25519') throw refused('private');
  return {
    publicKey: createPublicKey(privateKey).export({ type: 'spki', format: 'der' }).toString('base64'),
    sign: (writer, head) => sign(null, signedText(writer, head), privateKey).toString('base64'),
  };
}

/** A public Ed25519 key, as an object, PEM or SPKI in base64. */
export function publicKeyOf(key: KeyObject | string): KeyObject {
  const read = (): KeyObject => {
    if (typeof key !== 'string') return key;
    if (key.includes('-----')) return createPublicKey(key);
    return createPublicKey({ key: Buffer.from(key, 'base64'), type: 'spki', format: 'der' });
  };
  const publicKey = parse(read, 'public');
  if (publicKey.type !== 'public' || publicKey.asymmetricKeyType !== 'ed25519') throw refused('public');
  return publicKey;
}

/** Whether a signature over the state of a chain is by that key. */
export function signatureMatches(
  publicKey: KeyObject,
  writer: string,
  head: ChainHead,
  signature: JsonValue | undefined,
): boolean {
  if (typeof signature !== 'string') return false;
  return verify(null, signedText(writer, head), publicKey, Buffer.from(signature, 'base64'));
}

function signedText(writer: string, head: ChainHead): Buffer {
  return Buffer.from(`mnops-audit-checkpoint-1:${writer}:${head.sequence}:${head.hash}`, 'utf8');
}

function parse(read: () => KeyObject, which: string): KeyObject {
  try {
    return read();
  } catch {
    // Node's message may quote the key.
    throw refused(which);
  }
}

function refused(which: string): Error {
  return coreError('MNOPS_CORE_KEY_INVALID', `The audit log needs a ${which} Ed25519 key.`, {
    remedy: 'Make one with `openssl genpkey -algorithm ed25519`, or `generateKeyPairSync` of node:crypto.',
  });
}
