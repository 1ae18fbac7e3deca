import { credential } from '@mnops/core';
import { configError, credentialSchema } from '@mnops/core/config';
import type { AwsKeys } from '@mnops/core/http';
import type { Call, Credential } from '@mnops/core/spi';
import * as v from 'valibot';

/** Keys for AWS. Each is turned into text at each request, so it follows rotation. */
export interface AwsCredentials {
  readonly accessKeyId: Credential;
  readonly secretAccessKey: Credential;
  readonly sessionToken?: Credential | undefined;
}

/** Checks credentials in options. */
export const awsCredentialsSchema: v.GenericSchema<AwsCredentials> = v.strictObject({
  accessKeyId: credentialSchema,
  secretAccessKey: credentialSchema,
  sessionToken: v.optional(credentialSchema),
});

/** Checks a region in options. */
export const regionSchema: v.GenericSchema<string> = v.pipe(
  v.string(),
  v.regex(/^[a-z]{2}(?:-[a-z0-9]+)+-\d+$/, 'a region such as eu-central-1'),
);

/** The keys as text at this moment. */
export async function keysOf(credentials: AwsCredentials, call: Call): Promise<AwsKeys> {
  const { accessKeyId, secretAccessKey, sessionToken } = credentials;
  return {
    accessKeyId: await credential(accessKeyId, call),
    secretAccessKey: await credential(secretAccessKey, call),
    sessionToken: sessionToken === undefined ? undefined : await credential(sessionToken, call),
  };
}

/** Refuses an address to which values would go in clear. */
export function assertEndpoint(owner: string, endpoint: string | undefined): void {
  if (endpoint === undefined) return;
  const url = new URL(endpoint);
  const isLoopback = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback)) return;
  const expected = 'an https address, or http on loopback';
  const remedy = 'Secrets would be sent in clear: use https.';
  throw configError(owner, [{ field: 'endpoint', expected, received: url.protocol, remedy }]);
}
