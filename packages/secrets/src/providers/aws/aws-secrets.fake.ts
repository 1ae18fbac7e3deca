import { type FaultServer, faultServer, type RecordedRequest, type ScriptedReply } from '@mnops/core/testing';
import {
  addVersion,
  arnOf,
  described,
  FakeAwsRefusal,
  type FakeAwsSecret,
  type FakeAwsVersion,
  listed,
  listedVersion,
  newSecret,
  nowSeconds,
  refusalOf,
  selectVersion,
  touched,
  updateStage,
} from './aws-secrets-state.fake.js';

/** Secrets Manager's protocol in this process: versions, labels, tags, pages, deletion, rotation, policies. */
export interface AwsSecretsFake extends FaultServer {
  readonly region: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** Secrets by name. */
  readonly secrets: Map<string, FakeAwsSecret>;
  /** Operations that this caller may not use, such as `BatchGetSecretValue`. */
  readonly denied: Set<string>;
  /** Rotation functions by ARN: what makes the next value of the current one. */
  readonly rotationFunctions: Map<string, (current: string) => string>;
}

/** How the fake answers. */
export interface AwsSecretsFakeOptions {
  /** Most items of a page, whatever the client asks for. Default 100. */
  readonly pageSize?: number | undefined;
}

type Json = Readonly<Record<string, unknown>>;
type Operation = (fake: AwsSecretsFake, input: Json, pageSize: number) => Json;

const modelled = /^(?:Resource|Invalid|LimitExceeded|Decryption|InternalService|Precondition)/;
const marked = "You can't perform this operation on the secret because it was marked for deletion.";

const operations: Readonly<Record<string, Operation>> = {
  CreateSecret: createSecret,
  PutSecretValue: putSecretValue,
  UpdateSecret: updateSecret,
  GetSecretValue: getSecretValue,
  BatchGetSecretValue: batchGetSecretValue,
  DescribeSecret: (fake, input) => described(secretOf(fake, input)),
  ListSecrets: listSecrets,
  ListSecretVersionIds: listSecretVersionIds,
  UpdateSecretVersionStage: updateSecretVersionStage,
  DeleteSecret: deleteSecret,
  RestoreSecret: restoreSecret,
  TagResource: tagResource,
  UntagResource: untagResource,
  RotateSecret: rotateSecret,
  PutResourcePolicy: putResourcePolicy,
  GetResourcePolicy: (fake, input) => {
    const secret = secretOf(fake, input);
    return { ...named(secret), ...(secret.policy === undefined ? {} : { ResourcePolicy: secret.policy }) };
  },
  DeleteResourcePolicy: (fake, input) => {
    const secret = usable(fake, input);
    delete secret.policy;
    return named(secret);
  },
  ValidateResourcePolicy: (fake, input) => {
    secretOf(fake, input);
    return { PolicyValidationPassed: true, ValidationErrors: [] };
  },
};

/** Starts the fake. It takes one access key and one region. */
export async function awsSecretsFake(options: AwsSecretsFakeOptions = {}): Promise<AwsSecretsFake> {
  const { pageSize = 100 } = options;
  const server = await faultServer();
  const fake: AwsSecretsFake = {
    ...server,
    region: 'eu-central-1',
    credentials: { accessKeyId: 'AKIAFAKEFAKEFAKEFAKE', secretAccessKey: 'fake-secret-access-key' },
    secrets: new Map(),
    denied: new Set(),
    rotationFunctions: new Map(),
  };
  server.handler((request) => answered(fake, request, pageSize));
  return fake;
}

function answered(fake: AwsSecretsFake, request: RecordedRequest, pageSize: number): ScriptedReply {
  const name = /^secretsmanager\.(\w+)$/.exec(request.headers['x-amz-target'] ?? '')?.[1] ?? '';
  const scope = `/${fake.region}/secretsmanager/aws4_request`;
  const signed = /Credential=([^/]+)\/\d{8}([^,]+),/.exec(request.headers['authorization'] ?? '');
  if (signed?.[1] !== fake.credentials.accessKeyId || signed[2] !== scope)
    return reply(400, {
      __type: 'UnrecognizedClientException',
      message: 'The security token included in the request is invalid.',
    });
  return awsSecretsAnswer(fake, name, JSON.parse(request.text()) as Json, pageSize);
}

/** What the fake answers to one operation. */
export function awsSecretsAnswer(fake: AwsSecretsFake, name: string, input: Json, pageSize: number): ScriptedReply {
  try {
    const operation = Object.hasOwn(operations, name) ? operations[name] : undefined;
    if (operation === undefined) throw new FakeAwsRefusal('UnknownOperationException', 'Unknown operation.');
    if (fake.denied.has(name)) throw new FakeAwsRefusal('AccessDeniedException', `Not authorized to perform: ${name}`);
    return reply(200, operation(fake, input, pageSize));
  } catch (error) {
    const { type, message } = refusalOf(error);
    return reply(400, { __type: type, [modelled.test(type) ? 'Message' : 'message']: message });
  }
}

function reply(status: number, body: Json): ScriptedReply {
  return { status, headers: { 'content-type': 'application/x-amz-json-1.1' }, body: JSON.stringify(body) };
}

function createSecret(fake: AwsSecretsFake, input: Json): Json {
  const name = textIn(input, 'Name') ?? '';
  assertName(name);
  const value = valueIn(input);
  const token = tokenIn(input);
  const known = fake.secrets.get(name);
  if (known?.deletedAt !== undefined) {
    const text = "You can't create this secret because a secret with this name is already scheduled for deletion.";
    throw new FakeAwsRefusal('InvalidRequestException', text);
  }
  const repeated = value === undefined ? undefined : known?.versions.get(token);
  if (known !== undefined && repeated?.text === value?.text && repeated?.binary === value?.binary && repeated)
    return { ...named(known), VersionId: token };
  if (known !== undefined) {
    const text = `The operation failed because the secret ${name} already exists.`;
    throw new FakeAwsRefusal('ResourceExistsException', text);
  }
  const secret = newSecret(name, fake.region, textIn(input, 'Description'));
  const tags = input['Tags'] as readonly { readonly Key: string; readonly Value: string }[] | undefined;
  if (tags !== undefined && tags.length > 0) setTags(secret, tags);
  if (value !== undefined) addVersion(secret, token, value, ['AWSCURRENT']);
  fake.secrets.set(name, secret);
  return { ...named(secret), ...(value === undefined ? {} : { VersionId: token }) };
}

function putSecretValue(fake: AwsSecretsFake, input: Json): Json {
  const token = tokenIn(input);
  const secret = usable(fake, input);
  const value = valueIn(input);
  if (value === undefined)
    throw new FakeAwsRefusal('InvalidRequestException', 'You must provide either SecretString or SecretBinary.');
  const labels = (input['VersionStages'] as readonly string[] | undefined) ?? ['AWSCURRENT'];
  if (labels.length < 1 || labels.length > 20 || labels.some((label) => label.length < 1 || label.length > 256))
    throw new FakeAwsRefusal('ValidationException', 'VersionStages must have 1 to 20 items of 1 to 256 characters.');
  const { id, stages } = addVersion(secret, token, value, labels);
  return { ...named(secret), VersionId: id, VersionStages: [...stages].sort() };
}

function updateSecret(fake: AwsSecretsFake, input: Json): Json {
  const token = tokenIn(input);
  const secret = usable(fake, input);
  const value = valueIn(input);
  secret.description = textIn(input, 'Description') ?? secret.description;
  secret.changedAt = nowSeconds();
  if (value === undefined) return named(secret);
  return { ...named(secret), VersionId: addVersion(secret, token, value, ['AWSCURRENT']).id };
}

function getSecretValue(fake: AwsSecretsFake, input: Json): Json {
  const secret = usable(fake, input);
  const version = selectVersion(secret, textIn(input, 'VersionId'), textIn(input, 'VersionStage'));
  touched(secret, version);
  return shownValue(secret, version);
}

function batchGetSecretValue(fake: AwsSecretsFake, input: Json): Json {
  const ids = input['SecretIdList'];
  if (!Array.isArray(ids) || ids.length < 1 || ids.length > 20)
    throw new FakeAwsRefusal('InvalidParameterException', 'SecretIdList must have 1 to 20 items.');
  const found: Json[] = [];
  const errors: Json[] = [];
  for (const SecretId of ids as readonly string[]) {
    try {
      found.push(getSecretValue(fake, { SecretId }));
    } catch (error) {
      const { type, message } = refusalOf(error);
      errors.push({ SecretId, ErrorCode: type, Message: message });
    }
  }
  return { SecretValues: found, Errors: errors };
}

function listSecrets(fake: AwsSecretsFake, input: Json, pageSize: number): Json {
  const filters = (input['Filters'] ?? []) as readonly { readonly Key: string; readonly Values: readonly string[] }[];
  const names = filters.filter(({ Key }) => Key === 'name').flatMap(({ Values }) => Values);
  const own = [...fake.secrets.values()].filter(({ name, deletedAt }) => {
    if (deletedAt !== undefined && input['IncludePlannedDeletion'] !== true) return false;
    const matches = (value: string): boolean =>
      value.startsWith('!') ? !name.startsWith(value.slice(1)) : name.startsWith(value);
    return names.length === 0 || names.some(matches);
  });
  const { items, rest } = page(own, input, pageSize);
  return { SecretList: items.map(listed), ...rest };
}

function listSecretVersionIds(fake: AwsSecretsFake, input: Json, pageSize: number): Json {
  const secret = secretOf(fake, input);
  const shown = [...secret.versions.values()].filter(
    ({ stages }) => stages.size > 0 || input['IncludeDeprecated'] === true,
  );
  const { items, rest } = page(shown, input, pageSize);
  return { ...named(secret), Versions: items.map(listedVersion), ...rest };
}

function page<T>(
  all: readonly T[],
  input: Json,
  pageSize: number,
): { readonly items: readonly T[]; readonly rest: Json } {
  const token = textIn(input, 'NextToken');
  if (token !== undefined && !/^page-\d+$/.test(token))
    throw new FakeAwsRefusal('InvalidNextTokenException', 'The NextToken value is invalid.');
  const start = Number(token?.slice(5) ?? 0);
  const asked = typeof input['MaxResults'] === 'number' ? input['MaxResults'] : pageSize;
  const end = start + Math.min(pageSize, asked);
  return { items: all.slice(start, end), rest: end < all.length ? { NextToken: `page-${end}` } : {} };
}

function updateSecretVersionStage(fake: AwsSecretsFake, input: Json): Json {
  const secret = usable(fake, input);
  const label = textIn(input, 'VersionStage') ?? '';
  updateStage(secret, label, textIn(input, 'RemoveFromVersionId'), textIn(input, 'MoveToVersionId'));
  return named(secret);
}

function deleteSecret(fake: AwsSecretsFake, input: Json): Json {
  const { ForceDeleteWithoutRecovery: force, RecoveryWindowInDays: days } = input;
  if (days !== undefined && (force === true || typeof days !== 'number' || days < 7 || days > 30))
    throw new FakeAwsRefusal('InvalidParameterException', 'RecoveryWindowInDays must be between 7 and 30 days.');
  const known = findSecret(fake, textIn(input, 'SecretId') ?? '');
  if (force === true) {
    const { SecretId = '' } = input as { readonly SecretId?: string };
    if (known !== undefined) fake.secrets.delete(known.name);
    const shown = known === undefined ? { ARN: arnOf(SecretId, fake.region), Name: SecretId } : named(known);
    return { ...shown, DeletionDate: nowSeconds() };
  }
  const secret = usable(fake, input);
  secret.deletedAt = nowSeconds();
  return { ...named(secret), DeletionDate: secret.deletedAt + (typeof days === 'number' ? days : 30) * 86_400 };
}

function restoreSecret(fake: AwsSecretsFake, input: Json): Json {
  const secret = secretOf(fake, input);
  delete secret.deletedAt;
  return named(secret);
}

function tagResource(fake: AwsSecretsFake, input: Json): Json {
  setTags(usable(fake, input), input['Tags'] as readonly { readonly Key: string; readonly Value: string }[]);
  return {};
}

function setTags(secret: FakeAwsSecret, given: readonly { readonly Key: string; readonly Value: string }[]): void {
  const tags = new Map(secret.tags);
  for (const { Key, Value } of given) {
    const fits = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;
    if (Key.length < 1 || Key.length > 128 || Value.length > 256 || !fits.test(Key) || !fits.test(Value))
      throw new FakeAwsRefusal('InvalidParameterException', 'Tag keys and values must match the allowed pattern.');
    if (/^aws:/i.test(Key)) throw new FakeAwsRefusal('InvalidParameterException', 'Tag keys may not begin with aws:.');
    tags.set(Key, Value);
  }
  if (tags.size > 50) throw new FakeAwsRefusal('InvalidParameterException', 'A secret can have at most 50 tags.');
  secret.tags = tags;
}

function untagResource(fake: AwsSecretsFake, input: Json): Json {
  const secret = usable(fake, input);
  for (const key of input['TagKeys'] as readonly string[]) secret.tags?.delete(key);
  return {};
}

function rotateSecret(fake: AwsSecretsFake, input: Json): Json {
  const token = textIn(input, 'ClientRequestToken');
  if (token === undefined) throw new FakeAwsRefusal('InvalidParameterException', noToken);
  const secret = usable(fake, input);
  const lambda = textIn(input, 'RotationLambdaARN') ?? secret.rotation?.lambda;
  if (lambda === undefined) {
    const text = 'No Lambda rotation function ARN is associated with this secret.';
    throw new FakeAwsRefusal('InvalidRequestException', text);
  }
  const rotate = fake.rotationFunctions.get(lambda);
  if (rotate === undefined) {
    const text =
      'Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to the principal secretsmanager.amazonaws.com.';
    throw new FakeAwsRefusal('AccessDeniedException', text);
  }
  const current = selectVersion(secret, undefined, undefined);
  touched(secret, current);
  const value = { text: rotate(current.text ?? ''), binary: undefined };
  const next = addVersion(secret, token, value, ['AWSPENDING']);
  updateStage(secret, 'AWSCURRENT', current.id, next.id);
  next.stages.delete('AWSPENDING');
  const rules = input['RotationRules'] ?? secret.rotation?.rules ?? { AutomaticallyAfterDays: 1 };
  secret.rotation = { lambda, rules, rotatedAt: nowSeconds() };
  return { ...named(secret), VersionId: token };
}

function putResourcePolicy(fake: AwsSecretsFake, input: Json): Json {
  const secret = usable(fake, input);
  secret.policy = textIn(input, 'ResourcePolicy') ?? '';
  return named(secret);
}

const noToken = 'You must provide a ClientRequestToken value. We recommend a UUID-type value.';

function tokenIn(input: Json): string {
  const token = textIn(input, 'ClientRequestToken');
  if (token === undefined) throw new FakeAwsRefusal('InvalidRequestException', noToken);
  if (token.length >= 32 && token.length <= 64) return token;
  throw new FakeAwsRefusal('InvalidParameterException', 'ClientRequestToken must have 32 to 64 characters.');
}

function valueIn(input: Json): { readonly text: string | undefined; readonly binary: string | undefined } | undefined {
  const text = textIn(input, 'SecretString');
  const binary = textIn(input, 'SecretBinary');
  if (text !== undefined && binary !== undefined)
    throw new FakeAwsRefusal('InvalidParameterException', "You can't specify both a binary and a string value.");
  if (text === undefined && binary === undefined) return undefined;
  const bytes = text === undefined ? Buffer.from(binary ?? '', 'base64') : Buffer.from(text);
  if (bytes.length >= 1 && bytes.length <= 65_536) return { text, binary };
  throw new FakeAwsRefusal('ValidationException', 'The secret value must have 1 to 65536 bytes.');
}

function textIn(input: Json, key: string): string | undefined {
  const value = input[key];
  return typeof value === 'string' ? value : undefined;
}

function assertName(name: string): void {
  if (/^[A-Za-z0-9\-/_+=.@!]{1,512}$/.test(name)) return;
  const text =
    'Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!';
  throw new FakeAwsRefusal('ValidationException', text);
}

/** By name, ARN, or an ARN without its ending, which a name that looks like one with an ending hides. */
function findSecret(fake: AwsSecretsFake, id: string): FakeAwsSecret | undefined {
  if (!id.startsWith('arn:')) {
    assertName(id);
    return fake.secrets.get(id);
  }
  const complete = [...fake.secrets.values()].find(({ arn }) => arn === id);
  if (complete !== undefined || /-[A-Za-z0-9]{6}$/.test(id)) return complete;
  return [...fake.secrets.values()].find(({ arn }) => arn.slice(0, -7) === id);
}

function secretOf(fake: AwsSecretsFake, input: Json): FakeAwsSecret {
  const secret = findSecret(fake, textIn(input, 'SecretId') ?? '');
  if (secret !== undefined) return secret;
  throw new FakeAwsRefusal('ResourceNotFoundException', "Secrets Manager can't find the specified secret.");
}

function usable(fake: AwsSecretsFake, input: Json): FakeAwsSecret {
  const secret = secretOf(fake, input);
  if (secret.deletedAt !== undefined) throw new FakeAwsRefusal('InvalidRequestException', marked);
  return secret;
}

function shownValue(secret: FakeAwsSecret, { id, text, binary, createdAt, stages }: FakeAwsVersion): Json {
  return {
    ...named(secret),
    VersionId: id,
    ...(text === undefined ? { SecretBinary: binary } : { SecretString: text }),
    ...(stages.size === 0 ? {} : { VersionStages: [...stages].sort() }),
    CreatedDate: createdAt,
  };
}

function named({ arn, name }: FakeAwsSecret): Json {
  return { ARN: arn, Name: name };
}
