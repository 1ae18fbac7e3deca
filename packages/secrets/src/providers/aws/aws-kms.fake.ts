import { createCipheriv, createDecipheriv, randomBytes, randomUUID } from 'node:crypto';
import { type FaultServer, faultServer, type RecordedRequest, type ScriptedReply } from '@mnops/core/testing';

/** KMS's Encrypt and Decrypt in this process, with symmetric keys. */
export interface AwsKmsFake extends FaultServer {
  readonly region: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** Whether a key is enabled, by its ARN. */
  readonly keys: Map<string, { enabled: boolean }>;
  /** Makes a key; the answer is its ARN. */
  createKey(): string;
}

/** Starts the fake. It takes one access key and one region. */
export async function awsKmsFake(): Promise<AwsKmsFake> {
  const server = await faultServer();
  const material = new Map<string, Buffer>();
  const fake: AwsKmsFake = {
    ...server,
    region: 'eu-central-1',
    credentials: { accessKeyId: 'AKIAFAKEFAKEFAKEFAKE', secretAccessKey: 'fake-secret-access-key' },
    keys: new Map(),
    createKey: () => {
      const arn = `arn:aws:kms:${fake.region}:111111111111:key/${randomUUID()}`;
      fake.keys.set(arn, { enabled: true });
      material.set(arn, randomBytes(32));
      return arn;
    },
  };
  server.handler((request) => answered(fake, material, request));
  return fake;
}

function answered(fake: AwsKmsFake, material: ReadonlyMap<string, Buffer>, request: RecordedRequest): ScriptedReply {
  const signed = /Credential=([^/]+)\/\d{8}\/([^/]+)\/kms\/aws4_request,/.exec(request.headers['authorization'] ?? '');
  if (signed?.[1] !== fake.credentials.accessKeyId || signed[2] !== fake.region)
    return refused('UnrecognizedClientException', 'The security token included in the request is invalid.');
  const input = JSON.parse(request.text()) as {
    readonly KeyId: string;
    readonly Plaintext?: string;
    readonly CiphertextBlob?: string;
    readonly EncryptionContext?: Readonly<Record<string, string>>;
  };
  const arn = [...fake.keys.keys()].find((key) => key === input.KeyId || key.endsWith(`:key/${input.KeyId}`));
  const key = arn === undefined ? undefined : material.get(arn);
  if (arn === undefined || key === undefined)
    return refused('NotFoundException', `Key '${input.KeyId}' does not exist`);
  if (fake.keys.get(arn)?.enabled !== true) return refused('DisabledException', `${arn} is disabled.`);
  const context = JSON.stringify(Object.entries(input.EncryptionContext ?? {}).sort());
  if (request.headers['x-amz-target'] === 'TrentService.Encrypt') {
    const plaintext = Buffer.from(input.Plaintext ?? '', 'base64');
    return reply(200, { KeyId: arn, CiphertextBlob: sealed(arn, key, plaintext, context).toString('base64') });
  }
  if (request.headers['x-amz-target'] !== 'TrentService.Decrypt')
    return refused('UnknownOperationException', 'Unknown.');
  const blob = Buffer.from(input.CiphertextBlob ?? '', 'base64');
  const named = blob.subarray(1, 1 + (blob[0] ?? 0)).toString();
  if (named !== arn && fake.keys.has(named))
    return refused('IncorrectKeyException', 'The key ID in the request does not identify a CMK that can be used.');
  const plaintext = named === arn ? opened(blob.subarray(1 + named.length), key, context) : undefined;
  if (plaintext === undefined) return refused('InvalidCiphertextException', '');
  return reply(200, { KeyId: arn, Plaintext: plaintext.toString('base64'), EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' });
}

function sealed(arn: string, key: Buffer, plaintext: Buffer, context: string): Buffer {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: 16 }).setAAD(Buffer.from(context));
  const body = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return Buffer.concat([Buffer.from([arn.length]), Buffer.from(arn), nonce, body, cipher.getAuthTag()]);
}

function opened(blob: Buffer, key: Buffer, context: string): Buffer | undefined {
  if (blob.length < 28) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', key, blob.subarray(0, 12), { authTagLength: 16 });
  decipher.setAAD(Buffer.from(context)).setAuthTag(blob.subarray(-16));
  try {
    return Buffer.concat([decipher.update(blob.subarray(12, -16)), decipher.final()]);
  } catch {
    return undefined;
  }
}

function refused(type: string, message: string): ScriptedReply {
  return reply(400, { __type: type, message });
}

function reply(status: number, body: Readonly<Record<string, string>>): ScriptedReply {
  return { status, headers: { 'content-type': 'application/x-amz-json-1.1' }, body: JSON.stringify(body) };
}
