import { randomBytes, scrypt } from 'node:crypto';
import { hostname } from 'node:os';
import { envelope, type MasterKey } from './envelope.js';
import { userName } from './identity.js';

/** Cost of turning a passphrase into a key; the numbers stand in the key file. */
export interface ScryptCost {
  /** A power of two. */
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

/** About 90 ms and 32 MiB per attempt on a machine of 2024. */
export const defaultScryptCost: ScryptCost = { N: 32_768, r: 8, p: 1 };

/** Memory that a key file may ask for: more is refused before it is taken. */
const maxScryptBytes = 1_073_741_824;

interface KeyFileContent {
  readonly kdf: string;
  readonly N: number;
  readonly r: number;
  readonly p: number;
  readonly salt: string;
  readonly data: string;
}

/** Makes a new master key of three random parts. */
export function newMasterKey(): MasterKey {
  return { encrypt: randomBytes(32), macK: randomBytes(16), macR: randomBytes(16) };
}

/** The bytes of a key file that hands out `key` for the passphrase. Its name is the SHA-256 of these bytes. */
export async function sealKeyFile(
  key: MasterKey,
  passphrase: string,
  createdAt: Date,
  cost: ScryptCost = defaultScryptCost,
): Promise<Buffer> {
  const salt = randomBytes(64);
  const text = JSON.stringify({
    mac: { k: base64(key.macK), r: base64(key.macR) },
    encrypt: base64(key.encrypt),
  });
  const parts = envelope(await passphraseKeys(passphrase, salt, cost)).seal(Buffer.from(text));
  return Buffer.from(
    JSON.stringify({
      created: createdAt.toISOString(),
      username: userName(),
      hostname: hostname(),
      kdf: 'scrypt',
      ...cost,
      salt: base64(salt),
      data: base64(Buffer.concat(parts)),
    }),
  );
}

/** `damaged`: the bytes are no key file. `wrong`: they are one, for another passphrase. */
export type KeyFileOutcome = MasterKey | 'damaged' | 'wrong';

/** The master key inside a key file. */
export async function openKeyFile(bytes: Uint8Array, passphrase: string): Promise<KeyFileOutcome> {
  const content = parseJson(bytes) as KeyFileContent | undefined;
  if (content === undefined || !isKeyFile(content)) return 'damaged';
  const keys = await passphraseKeys(passphrase, Buffer.from(content.salt, 'base64'), content);
  const opened = envelope(keys).open(Buffer.from(content.data, 'base64'));
  if (opened === undefined) return 'wrong';
  const master = parseJson(opened) as { mac?: { k?: string; r?: string }; encrypt?: string } | undefined;
  const key: MasterKey = {
    encrypt: Buffer.from(master?.encrypt ?? '', 'base64'),
    macK: Buffer.from(master?.mac?.k ?? '', 'base64'),
    macR: Buffer.from(master?.mac?.r ?? '', 'base64'),
  };
  const whole = key.encrypt.length === 32 && key.macK.length === 16 && key.macR.length === 16;
  return whole ? key : 'damaged';
}

function isKeyFile({ kdf, N, r, p, salt, data }: KeyFileContent): boolean {
  const numbers = [N, r, p].every((value) => Number.isSafeInteger(value) && value > 0);
  if (kdf !== 'scrypt' || !numbers || typeof salt !== 'string' || typeof data !== 'string') return false;
  return N > 1 && Number.isInteger(Math.log2(N)) && 128 * N * r <= maxScryptBytes && p <= 1024;
}

async function passphraseKeys(passphrase: string, salt: Uint8Array, { N, r, p }: ScryptCost): Promise<MasterKey> {
  const bytes = await new Promise<Buffer>((resolve, reject) => {
    const limits = { N, r, p, maxmem: 128 * N * r + 1_048_576 + 128 * r * p };
    scrypt(passphrase, salt, 64, limits, (error, key) => (error === null ? resolve(key) : reject(error)));
  });
  return { encrypt: bytes.subarray(0, 32), macK: bytes.subarray(32, 48), macR: bytes.subarray(48, 64) };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
