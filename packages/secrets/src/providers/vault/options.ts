import { clockSchema, credentialSchema, parseOptions, textSchema } from '@mnops/core/config';
import type { Clock, Credential } from '@mnops/core/spi';
import * as v from 'valibot';

/** How a program proves to Vault who it is. Each credential becomes text at each login, so it follows rotation. */
export type VaultAuth =
  | {
      /** A token that somebody else made. It is renewed once the provider was opened, and never replaced. */
      readonly token: Credential;
    }
  | {
      readonly appRole: {
        readonly roleId: Credential;
        readonly secretId?: Credential | undefined;
        /** Default `approle`. */
        readonly mount?: string | undefined;
      };
    }
  | {
      readonly kubernetes: {
        readonly role: string;
        /** Default: the file of the pod's service account, read anew at each login. */
        readonly jwt?: Credential | undefined;
        /** Default `kubernetes`. */
        readonly mount?: string | undefined;
      };
    }
  | {
      readonly jwt: {
        readonly role: string;
        readonly jwt: Credential;
        /** Default `jwt`. */
        readonly mount?: string | undefined;
      };
    }
  | {
      readonly userpass: {
        readonly username: string;
        readonly password: Credential;
        /** Default `userpass`. */
        readonly mount?: string | undefined;
      };
    };

/** The part of a `node-vault` client that is used. */
export interface NodeVaultLike {
  request(options: {
    readonly path: string;
    readonly method: string;
    readonly headers: Record<string, string>;
    readonly json?: unknown;
    readonly [option: string]: unknown;
  }): Promise<unknown>;
}

/** Where a Vault is and how to sign in. */
export interface VaultConnectionOptions {
  /** Such as `https://vault:8200`. Default with a `client`: the client's own. */
  readonly address?: string | undefined;
  /** Namespace of Vault Enterprise or OpenBao. */
  readonly namespace?: string | undefined;
  /** Certificate authority to trust in place of the built-in ones, PEM. */
  readonly ca?: string | undefined;
  readonly auth: VaultAuth;
  /**
   * A ready `node-vault` client. Its own transport is used then: what it sends and follows, and what it prints with
   * `DEBUG=node-vault`, is its own matter. Its address and namespace count, its token does not.
   */
  readonly client?: NodeVaultLike | undefined;
  /** Times the life of the token. Default: the system's. */
  readonly clock?: Clock | undefined;
}

/** Name of a mount: segments joined by `/`. */
export const mountSchema: v.GenericSchema<string> = v.pipe(
  textSchema,
  v.check((mount) => mount.split('/').every(isSegment), 'segments joined by one /, none of them . or ..'),
);

function isSegment(segment: string): boolean {
  return segment !== '' && !segment.includes('..') && segment !== '.';
}

const authSchema = v.union([
  v.strictObject({ token: credentialSchema }),
  v.strictObject({
    appRole: v.strictObject({
      roleId: credentialSchema,
      secretId: v.optional(credentialSchema),
      mount: v.optional(mountSchema),
    }),
  }),
  v.strictObject({
    kubernetes: v.strictObject({
      role: textSchema,
      jwt: v.optional(credentialSchema),
      mount: v.optional(mountSchema),
    }),
  }),
  v.strictObject({
    jwt: v.strictObject({ role: textSchema, jwt: credentialSchema, mount: v.optional(mountSchema) }),
  }),
  v.strictObject({
    userpass: v.strictObject({
      username: v.pipe(textSchema, v.check(isSegment, 'a name that is not . or ..')),
      password: credentialSchema,
      mount: v.optional(mountSchema),
    }),
  }),
]);

const connectionEntries = {
  namespace: v.optional(textSchema),
  ca: v.optional(textSchema),
  auth: authSchema,
  clock: v.optional(clockSchema),
};
const addressSchema = v.pipe(v.string(), v.url(), v.regex(/^https?:/));
const clientSchema = v.custom<NodeVaultLike>(
  (value) =>
    typeof value === 'object' && value !== null && typeof (value as { request?: unknown }).request === 'function',
  'a node-vault client',
);

/**
 * Checks the options of a factory of this back end: where Vault is, how to sign in, and what the factory has of its own.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`
 */
export function checkVaultOptions(name: string, own: v.ObjectEntries, options: VaultConnectionOptions): void {
  const ready = options?.client !== undefined;
  const where = ready
    ? { address: v.optional(addressSchema), client: clientSchema }
    : { address: addressSchema, client: v.optional(clientSchema) };
  parseOptions(name, v.strictObject({ ...where, ...connectionEntries, ...own }), options);
}
