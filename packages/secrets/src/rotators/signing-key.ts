import {
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type JsonWebKey,
  type KeyObject,
  randomBytes,
  sign,
  verify,
} from 'node:crypto';
import { promisify } from 'node:util';
import { parseOptions } from '@mnops/core/config';
import type { Rotator, SecretValue } from '@mnops/core/spi';
import * as v from 'valibot';
import { secretsError } from '../codes.js';

/** What kind of key is made. */
export type SigningKeyOptions =
  | {
      readonly type: 'hmac';
      /** Bytes of the key, 32 to 512. Default 64. */
      readonly bytes?: number | undefined;
      /** `jwk`, or `text`: base64url, whose characters are the key. Default `jwk`. */
      readonly format?: 'jwk' | 'text' | undefined;
    }
  | { readonly type: 'ed25519'; readonly format?: 'jwk' | 'pem' | undefined }
  | {
      readonly type: 'rsa';
      /** Bits: 2048, 3072 or 4096. Default 3072. */
      readonly modulusLength?: 2_048 | 3_072 | 4_096 | undefined;
      readonly format?: 'jwk' | 'pem' | undefined;
    }
  | {
      readonly type: 'ec';
      /** Default `P-256`. */
      readonly curve?: 'P-256' | 'P-384' | 'P-521' | undefined;
      readonly format?: 'jwk' | 'pem' | undefined;
    };

const keyFormat = v.optional(v.picklist(['jwk', 'pem']), 'jwk');
const optionsSchema = v.variant('type', [
  v.strictObject({
    type: v.literal('hmac'),
    bytes: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(32), v.maxValue(512)), 64),
    format: v.optional(v.picklist(['jwk', 'text']), 'jwk'),
  }),
  v.strictObject({ type: v.literal('ed25519'), format: keyFormat }),
  v.strictObject({
    type: v.literal('rsa'),
    modulusLength: v.optional(v.picklist([2_048, 3_072, 4_096]), 3_072),
    format: keyFormat,
  }),
  v.strictObject({
    type: v.literal('ec'),
    curve: v.optional(v.picklist(['P-256', 'P-384', 'P-521']), 'P-256'),
    format: keyFormat,
  }),
]);

type Settings = v.InferOutput<typeof optionsSchema>;

const makePair = promisify(generateKeyPair);
const algorithmOfCurve = { 'P-256': 'ES256', 'P-384': 'ES384', 'P-521': 'ES512' } as const;
const sample = Buffer.from('mnops');

/**
 * Rotates a key that signs, such as that of JSON Web Tokens. Signers take the current one; who verifies accepts each of a
 * handle's `accepted`, the new key before anything is signed with it and the old one until its grace ends: let it last as
 * long as what was signed is valid.
 *
 * A value is a private JSON Web Key with `kid` (its RFC 7638 thumbprint), `alg` and `use`, or PKCS #8 in PEM; before it
 * becomes current, something is signed and verified with what the provider gives back.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`. `verify` rejects with `MNOPS_SECRETS_VALUE_INVALID` for a value that is
 * no such key.
 */
export function signingKey(options: SigningKeyOptions): Rotator {
  const settings = parseOptions('signingKey', optionsSchema, options);
  return {
    specVersion: 1,
    kind: 'rotator',
    id: 'signing-key',
    capabilities: { strategies: ['single-user'], overlap: true },
    generate: () => newKey(settings),
    apply: async () => undefined,
    async verify({ pending }) {
      let works = false;
      try {
        works = settings.type === 'hmac' ? isHmacKey(pending, settings) : isPrivateKey(pending, settings);
      } catch {
        // What Node says of a key may quote it.
      }
      if (works) return;
      const { path } = pending;
      const message = `The secret ${path} is not a key of the type ${settings.type} that signs.`;
      throw secretsError('MNOPS_SECRETS_VALUE_INVALID', message, { details: { path } });
    },
    revoke: async () => undefined,
    discard: async () => undefined,
  };
}

async function newKey(settings: Settings): Promise<string> {
  if (settings.type === 'hmac') {
    const key = randomBytes(settings.bytes).toString('base64url');
    return settings.format === 'text' ? key : withId({ kty: 'oct', k: key }, hmacAlgorithm(settings.bytes));
  }
  const key = await newPrivateKey(settings);
  if (settings.format === 'pem') return String(key.export({ type: 'pkcs8', format: 'pem' }));
  return withId(key.export({ format: 'jwk' }), algorithmOf(settings));
}

async function newPrivateKey(settings: Exclude<Settings, { readonly type: 'hmac' }>): Promise<KeyObject> {
  if (settings.type === 'ed25519') return (await makePair('ed25519', {})).privateKey;
  if (settings.type === 'ec') return (await makePair('ec', { namedCurve: settings.curve })).privateKey;
  return (await makePair('rsa', { modulusLength: settings.modulusLength })).privateKey;
}

function algorithmOf(settings: Exclude<Settings, { readonly type: 'hmac' }>): string {
  if (settings.type === 'ed25519') return 'EdDSA';
  return settings.type === 'ec' ? algorithmOfCurve[settings.curve] : 'RS256';
}

/** The strongest that the key is long enough for. */
function hmacAlgorithm(bytes: number): string {
  return bytes >= 64 ? 'HS512' : bytes >= 48 ? 'HS384' : 'HS256';
}

/** Adds what tells keys apart; the thumbprint is made of the required members in alphabetical order. */
function withId(key: JsonWebKey, alg: string): string {
  const members = ['crv', 'e', 'k', 'kty', 'n', 'x', 'y'].filter((name) => key[name] !== undefined);
  const required = JSON.stringify(Object.fromEntries(members.map((name) => [name, key[name]])));
  const kid = createHash('sha256').update(required).digest('base64url');
  return JSON.stringify({ ...key, kid, alg, use: 'sig' });
}

function isHmacKey(value: SecretValue, { bytes, format }: Extract<Settings, { readonly type: 'hmac' }>): boolean {
  const text = format === 'text' ? value.reveal() : value.field('k');
  const key = Buffer.from(text, 'base64url');
  return key.length === bytes && createHmac('sha256', key).update(sample).digest().length === 32;
}

function isPrivateKey(value: SecretValue, settings: Exclude<Settings, { readonly type: 'hmac' }>): boolean {
  const key =
    settings.format === 'pem'
      ? createPrivateKey(value.reveal())
      : createPrivateKey({ key: value.json<JsonWebKey>(), format: 'jwk' });
  if (key.asymmetricKeyType !== settings.type) return false;
  const digest = settings.type === 'ed25519' ? undefined : 'sha256';
  return verify(digest, sample, createPublicKey(key), sign(digest, sample, key));
}
