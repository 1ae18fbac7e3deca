import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { inspect } from 'node:util';
import { serialize } from 'node:v8';
import { onOperation } from '@mnops/core/operations';
import pino from 'pino';
import winston from 'winston';
import { SecretsManager } from '../src/index.js';
import { everyProvider, type ProviderSubject } from './every-provider.js';

// Puts a value through every back end and every call, also failing ones, and prints whatever comes of it in every way
// that a program has. What is printed here must not hold the value; its form and the value itself come by stdin.
const [folder = ''] = process.argv.slice(2);
const { canary, form } = JSON.parse(await text(process.stdin)) as { readonly canary: string; readonly form: string };
const forms: Readonly<Record<string, string | Uint8Array | Readonly<Record<string, string>>>> = {
  object: { user: 'someone', password: canary },
  'broken JSON': `${canary} {`,
  bytes: Buffer.concat([Buffer.from([0, 255]), Buffer.from(canary)]),
};
const value = forms[form] ?? '';
const everything = { depth: 9, showHidden: true, showProxy: true, getters: true };
const winstonLogger = winston.createLogger({ transports: [new winston.transports.Console()] });
const pinoLogger = pino();

function show(name: string, seen: unknown): void {
  console.log(name, seen);
  console.log(String(seen), `${inspect(seen, everything)} ${inspect(seen, { ...everything, customInspect: false })}`);
  console.log(quietly(() => JSON.stringify(seen)));
  console.log(quietly(() => inspect(structuredClone(seen), everything)));
  console.log(quietly(() => serialize(seen).toString('latin1')));
  console.log(quietly(() => JSON.stringify(Object.entries(Object.assign({}, seen)))));
  winstonLogger.info('seen', { seen });
  pinoLogger.info({ seen, err: seen });
  if (!(seen instanceof Error)) return;
  const { message, stack, cause } = seen;
  console.log(message, stack, cause, inspect(Object.getOwnPropertyDescriptors(seen), everything));
  winstonLogger.error(seen);
  pinoLogger.error(seen);
}

/** What cannot be serialized at all shows nothing. */
function quietly(make: () => unknown): unknown {
  try {
    return make();
  } catch (error) {
    return error;
  }
}

async function attempt(name: string, run: () => unknown): Promise<unknown> {
  try {
    const seen = await run();
    show(name, seen);
    return seen;
  } catch (error) {
    show(name, error);
    return error;
  }
}

async function collected(items: AsyncIterable<unknown>): Promise<unknown[]> {
  const seen: unknown[] = [];
  for await (const item of items) seen.push(item);
  return seen;
}

async function trial(name: string, { provider, faults, leasePath }: ProviderSubject): Promise<unknown> {
  const place = join(folder, name);
  mkdirSync(place, { recursive: true });
  const secrets = new SecretsManager({ provider, folder: place, retry: { maxAttempts: 1 } });
  await attempt(name, () => secrets.start());
  await attempt('put', () => secrets.put('a', value));
  await attempt('create', () => secrets.create('a', value));
  await attempt('get', () => secrets.get('a'));
  await attempt('field', async () => (await secrets.getOrThrow('a')).field('none'));
  await attempt('json', async () => void (await secrets.getOrThrow('a')).json());
  await attempt('schema', async () =>
    (await secrets.getOrThrow('a')).json({ '~standard': { validate: () => ({ issues: [{ path: ['password'] }] }) } }),
  );
  await attempt('conflict', () => secrets.put('a', value, { ifVersion: '999' }));
  await attempt('update', () => secrets.update('a', () => ({ [canary]: Number.NaN })));
  await attempt('rollback', () => secrets.rollback('a', { toVersion: '7' }));
  await attempt('describe', () => secrets.describe('a'));
  await attempt('versions', () => collected(secrets.versions('a')));
  await attempt('list', () => collected(secrets.list()));
  await attempt('many', () => secrets.getMany(['a', 'absent']));
  await attempt('resolve', () => secrets.resolveAll({ absent: 'secret://a#none' }));
  await attempt('import', () => secrets.importFrom(`PASSWORD="${canary}\nbroken`, { format: 'dotenv' }));
  await attempt('import', () => secrets.importFrom(`{"password": "${canary}", }`, { format: 'json' }));
  await attempt('handle', async () => {
    const handle = secrets.handle('a');
    await handle.ready();
    return handle;
  });
  await attempt('use', () => secrets.withSecret('a', async () => Promise.reject(new Error('refused'))));
  if (leasePath !== undefined) await attempt('lease', () => secrets.lease(leasePath));
  let last: unknown = new Error('nothing failed');
  // Servers that fail, and those that send back what they were given.
  for (const fault of [
    { status: 500, body: { error: { message: canary }, errors: [canary] } },
    { status: 400, body: `{"errors":["${canary}"],"message":"${canary}"` },
    { status: 403, headers: { 'www-authenticate': canary }, body: canary },
    { status: 200, body: `${canary} is not JSON` },
    'reset' as const,
    'truncated' as const,
  ]) {
    faults?.next(fault);
    last = await attempt('fault', () => secrets.put('b', value));
    faults?.next(fault);
    await attempt('fault', () => secrets.get('a', { maxAgeMs: 0 }));
  }
  await attempt('entries', () => collected(secrets.audit.query()));
  await attempt('health', () => secrets.health());
  show('manager', secrets);
  show('stats', secrets.stats());
  show('provider', provider);
  await secrets.stop();
  return last;
}

const off = onOperation((event) => show('operation', event));
let rejected: unknown;
for (const [name, make] of Object.entries(everyProvider)) {
  const subject = await make({ folder: join(folder, name), canary });
  rejected = await trial(name, subject);
  await subject.close?.();
}
off();
// What a child is given, and what Node prints of a rejection that nobody handles.
console.log(execFileSync(process.execPath, ['-p', 'JSON.stringify(process.env)'], { encoding: 'utf8' }));
console.log('every provider was tried');
void Promise.reject(rejected);
