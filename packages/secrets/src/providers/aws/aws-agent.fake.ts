import { type FaultServer, faultServer } from '@mnops/core/testing';
import { type AwsSecretsFake, awsSecretsAnswer } from './aws-secrets.fake.js';

/** AWS's local agent in this process, in front of a fake Secrets Manager. */
export interface AwsAgentFake extends FaultServer {
  /** What the agent wants to see in the header. */
  readonly token: string;
}

/** Starts the fake; it reads what is in the other one. */
export async function awsAgentFake(secrets: AwsSecretsFake): Promise<AwsAgentFake> {
  const server = await faultServer();
  const fake: AwsAgentFake = { ...server, token: 'fake-agent-token' };
  server.handler(({ method, url, headers }) => {
    if (headers['x-aws-parameters-secrets-token'] !== fake.token) return { status: 403, body: 'Bad Token' };
    const { pathname, searchParams: query } = new URL(url, 'http://agent');
    if (method !== 'GET' || pathname !== '/secretsmanager/get') return { status: 404, body: 'Not found' };
    const input = {
      SecretId: query.get('secretId') ?? '',
      VersionId: query.get('versionId') ?? undefined,
      VersionStage: query.get('versionStage') ?? undefined,
    };
    const { status = 200, body } = awsSecretsAnswer(secrets, 'GetSecretValue', input, 1);
    const answer = JSON.parse(String(body)) as Readonly<Record<string, unknown>>;
    const { __type, Message, message = Message, CreatedDate } = answer;
    const shown = status === 200 ? { ...answer, CreatedDate: String(CreatedDate) } : { __type, message };
    return { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(shown) };
  });
  return fake;
}
