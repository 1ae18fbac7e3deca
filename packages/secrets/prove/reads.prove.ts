import { codeOf, coreError } from '@mnops/core';
import type { SecretProvider } from '@mnops/core/spi';
import { type FakeClock, fakeClock, type RecordedRequest } from '@mnops/core/testing';
import { type Campaign, defineCampaign } from '@mnops/tooling/prove';
import { memory, SecretsManager } from '../src/index.js';
import { awsSecretsManager } from '../src/providers/aws/index.js';
import { hashicorpVault } from '../src/providers/vault/index.js';
import { vaultFake } from '../src/providers/vault/vault.fake.js';
import { awsSecretsFake } from '../src/testing/index.js';

const concurrent = 10_000;
const hourMs = 3_600_000;

/** 10,000 reads at once, of one path and of 100 paths, counted at the servers. */
const upstream: Campaign = defineCampaign({
  package: 'secrets',
  suite: 'reads',
  bar: 'B1',
  name: 'calls of 10,000 concurrent cold reads',
  goal: '1 for one path, 5 of 20 for 100 paths',
  defaultCount: 50,
  shortCount: 1,
  async run({ count, random, fail, progress }) {
    const fake = await vaultFake();
    fake.kv.reply('POST', 'data', 'app/0', new URLSearchParams(), { data: { value: 'value of app/0' } });
    const { region, credentials, url: endpoint, ...amazon } = await awsSecretsFake();
    const filling = new SecretsManager({
      provider: awsSecretsManager({ region, credentials, endpoint }),
      audit: false,
    });
    for (let at = 0; at < 100; at += 1) await filling.put(`app/${at}`, `value of app/${at}`);
    await filling.stop();
    const readAll = async (provider: SecretProvider, pathOf: (index: number) => string): Promise<void> => {
      const secrets = new SecretsManager({ provider, audit: random() < 0.5 ? false : {} });
      const paths = Array.from({ length: concurrent }, (_, index) => pathOf(index));
      const read = await Promise.all(paths.map((path) => secrets.get(path)));
      read.forEach((value, index) => {
        if (value?.reveal() !== `value of ${paths[index]}`) fail(`${paths[index]} has another value`);
      });
      await secrets.stop();
    };
    for (let tried = 0; tried < count; tried += 1) {
      const vault = hashicorpVault({ address: fake.url, auth: { token: fake.rootToken }, kvVersion: 2 });
      const before = fake.requests.length;
      await readAll(vault, () => 'app/0');
      const sent = fake.requests.slice(before).filter(({ url }) => url.startsWith('/v1/secret/'));
      if (sent.length !== 1) fail(`trial ${tried}: ${sent.length} requests for one path`);
      const from = amazon.requests.length;
      const provider = awsSecretsManager({ region, credentials, endpoint });
      await readAll(provider, (index) => `app/${index < 100 ? index : Math.floor(random() * 100)}`);
      const calls = amazon.requests.slice(from).map(callOfRequest).join();
      if (calls !== Array.from({ length: 5 }, () => 'BatchGetSecretValue 20').join()) fail(`trial ${tried}: ${calls}`);
      progress(tried + 1);
    }
    await fake.close();
    await amazon.close();
  },
});

function callOfRequest({ headers, text }: RecordedRequest): string {
  const { SecretIdList = [] } = JSON.parse(text()) as { readonly SecretIdList?: readonly string[] };
  return `${headers['x-amz-target']?.replace('secretsmanager.', '')} ${SecretIdList.length}`;
}

interface Upstream extends SecretProvider {
  /** What it answers with now; `undefined`: the value. */
  fault: Error | undefined;
  readonly askedAt: number[];
}

function upstreamOf(clock: FakeClock): Upstream {
  const { watch: _, ...store } = memory({ values: { a: 'value' }, clock });
  const provider: Upstream = {
    ...store,
    capabilities: { ...store.capabilities, watch: 'none' },
    fault: undefined,
    askedAt: [],
    async get(path, at, call) {
      provider.askedAt.push(clock.monotonic());
      if (provider.fault !== undefined) throw provider.fault;
      return await store.get(path, at, call);
    },
  };
  return provider;
}

/** Least and greatest time between one failed probe and the next: a second that doubles up to a minute, halved at random. */
function stepOf(failures: number): { readonly least: number; readonly most: number } {
  const most = Math.min(60_000, 1_000 * 2 ** failures);
  return { least: most / 2, most };
}

/** The back end is down for an hour of an injected clock, several readers come at random; then it refuses. */
const outage: Campaign = defineCampaign({
  package: 'secrets',
  suite: 'reads',
  bar: 'B4',
  name: 'an hour without the back end',
  goal: '0 failed reads, 1 probe per back-off step, a refusal ends the value at once',
  defaultCount: 60,
  shortCount: 2,
  async run({ count, random, fail, progress }) {
    for (let tried = 0; tried < count; tried += 1) {
      const clock = fakeClock();
      const provider = upstreamOf(clock);
      const ttlMs = 1_000 + Math.floor(random() * 300_000);
      const secrets = new SecretsManager({
        provider,
        clock,
        audit: false,
        retry: { maxAttempts: 1 },
        cache: { ttlMs, staleWhileRevalidateMs: random() < 0.5 ? 0 : 60_000, staleOnErrorMs: 2 * hourMs },
      });
      const readers = 1 + Math.floor(random() * 5);
      const readAtOnce = async (): Promise<(string | undefined)[]> => {
        const reads = Array.from({ length: readers }, () =>
          secrets.get('a').then(
            (value) => value?.reveal(),
            (error: unknown) => codeOf(error),
          ),
        );
        const outcomes = await Promise.all(reads);
        await clock.advance(0);
        return outcomes;
      };
      await readAtOnce();
      provider.askedAt.length = 0;
      const code = random() < 0.5 ? 'MNOPS_CORE_UNAVAILABLE' : 'MNOPS_CORE_THROTTLED';
      provider.fault = coreError(code, 'down');
      const longestPauseMs = 1 + random() * 2_000;
      for (const endsAt = clock.monotonic() + hourMs; clock.monotonic() < endsAt; ) {
        await clock.advance(random() * longestPauseMs);
        const wrong = (await readAtOnce()).find((each) => each !== 'value');
        if (wrong !== undefined) fail(`trial ${tried}: a read in the outage gave ${wrong}`);
      }
      provider.askedAt.forEach((at, index) => {
        const before = provider.askedAt[index - 1];
        if (before === undefined) return;
        const { least, most } = stepOf(index - 1);
        if (at - before < least) fail(`trial ${tried}: probe ${index} came ${at - before} ms after the one before`);
        if (at - before > most + longestPauseMs)
          fail(`trial ${tried}: probe ${index} came after ${at - before} ms only`);
      });
      await refused(secrets, provider, clock, random, (why) => fail(`trial ${tried}: ${why}`));
      await secrets.stop();
      progress(tried + 1);
    }
  },
});

/** From the first answer that refuses or knows no secret, no value is handed out. */
async function refused(
  secrets: SecretsManager,
  provider: Upstream,
  clock: FakeClock,
  random: () => number,
  fail: (why: string) => void,
): Promise<void> {
  const codes = ['MNOPS_CORE_ACCESS_DENIED', 'MNOPS_CORE_NOT_FOUND', 'MNOPS_CORE_UNAUTHENTICATED'] as const;
  const code = codes[Math.floor(random() * codes.length)] ?? codes[0];
  provider.fault = coreError(code, 'refused');
  const before = provider.askedAt.length;
  for (let waits = 0; provider.askedAt.length === before; waits += 1) {
    if (waits > 1_000) return fail('the back end is not asked again');
    await clock.advance(1_000);
    await secrets.get('a').catch(() => undefined);
    await clock.advance(0);
  }
  const after = await secrets.get('a').catch((error: unknown) => codeOf(error));
  if (after !== code) fail(`after ${code} a read gave ${typeof after === 'string' ? after : 'a value'}`);
}

/** Two reads, one after the other or at once, that may differ in any option: each gets what it asked for. */
const options: Campaign = defineCampaign({
  package: 'secrets',
  suite: 'reads',
  bar: 'B5',
  name: 'pairs of reads with other options',
  goal: '0 answers of another read',
  defaultCount: 100_000,
  shortCount: 2_000,
  async run({ count, random, fail, progress }) {
    const store = memory();
    const answerOf = (path: string, version?: string, stage?: string): string =>
      JSON.stringify([path, version ?? null, stage ?? null]);
    const provider: SecretProvider = {
      ...store,
      capabilities: { ...store.capabilities, batchGet: 20 },
      get: async (path, { version, stage }) => ({
        value: Buffer.from(answerOf(path, version, stage)),
        version: version ?? '1',
        stages: [],
      }),
      getMany: async (paths) => ({
        found: new Map(
          paths.map((path) => [path, { value: Buffer.from(answerOf(path)), version: '1', stages: ['current'] }]),
        ),
        absent: [],
        failed: new Map(),
      }),
    };
    const parts = ['a', 'b', '-', 'v', 's', '1', 'v1', 's1', 'current', 'fresh', '/a', ' -', '%00'];
    const some = (most: number): string =>
      Array.from({ length: 1 + Math.floor(random() * most) }, () => parts[Math.floor(random() * parts.length)]).join(
        '',
      );
    const path = (): string => `p${some(2)}`;
    const maybe = (make: () => string): string | undefined => (random() < 0.5 ? undefined : make());
    let secrets = new SecretsManager({ provider, audit: false });
    for (let tried = 0; tried < count; tried += 1) {
      const first = { path: path(), version: maybe(() => some(2)), stage: maybe(() => some(2)) };
      const second = {
        path: random() < 0.7 ? first.path : path(),
        version: random() < 0.6 ? first.version : maybe(() => some(2)),
        stage: random() < 0.6 ? first.stage : maybe(() => some(2)),
      };
      const read = async (each: typeof first): Promise<void> => {
        const maxAgeMs = random() < 0.2 ? 0 : random() < 0.2 ? 60_000 : undefined;
        const value = await secrets.get(each.path, { version: each.version, stage: each.stage, maxAgeMs });
        const wanted = answerOf(each.path, each.version, each.stage);
        if (value?.reveal() !== wanted) fail(`${wanted} was answered with ${value?.reveal()}`);
      };
      if (random() < 0.5) await Promise.all([read(first), read(second)]);
      else {
        await read(first);
        await read(second);
      }
      if (tried % 1_000 === 999) {
        progress(tried + 1);
        await secrets.stop();
        secrets = new SecretsManager({ provider: { ...provider, close: async () => undefined }, audit: false });
      }
    }
    await secrets.stop();
  },
});

const campaigns: readonly Campaign[] = [upstream, outage, options];
export default campaigns;
