import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MnopsError } from '../errors/mnops-error.js';
import { serviceIdentity } from './identity.js';
import { type LoadConfigOptions, loadConfig } from './load-config.js';

const schema = v.strictObject({
  server: v.strictObject({
    port: v.pipe(v.number(), v.integer(), v.maxValue(65_535)),
    host: v.optional(v.string(), '127.0.0.1'),
    maxBytes: v.optional(v.number()),
  }),
  tags: v.optional(v.array(v.string())),
  debug: v.optional(v.boolean()),
  token: v.optional(v.string()),
});
type Layers = Omit<LoadConfigOptions<typeof schema>, 'name' | 'schema'>;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mnops-config-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function file(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

const load = (layers: Layers) => loadConfig({ name: 'shop', schema, ...layers });

async function failure(layers: Layers): Promise<MnopsError> {
  try {
    await load(layers);
  } catch (error) {
    expect(MnopsError.is(error, 'MNOPS_CORE_CONFIG_INVALID')).toBe(true);
    return error as MnopsError;
  }
  throw new Error('nothing was thrown');
}

describe('loadConfig', () => {
  it('lays files over defaults, the environment over files, overrides over all, and knows where each value is from', async () => {
    const json = await file('a.json', '{ "server": { "port": 1, "maxBytes": 5 }, "tags": ["json"] }');
    const yaml = await file('b.yaml', 'server:\n  port: 2\ntags: [yaml, "no"]\n');
    const { value, provenance } = await load({
      defaults: { server: { port: 0, maxBytes: 1 }, debug: false },
      files: [json, yaml, { file: join(folder, 'none.yaml'), optional: true }],
      environment: {
        source: { PORT: '3', SHOP_DEBUG: 'true', SHOP_TOKEN: '0123', OTHER: 'x', SHOP_TAGS: '' },
        prefix: 'SHOP_',
        variables: { PORT: 'server.port' },
      },
      overrides: { server: { maxBytes: 9, host: undefined } },
    });
    expect(value).toEqual({
      server: { port: 3, host: '127.0.0.1', maxBytes: 9 },
      tags: ['yaml', 'no'],
      debug: true,
      token: '0123',
    });
    expect(provenance).toEqual({
      'server.port': 'environment PORT',
      'server.host': 'schema',
      'server.maxBytes': 'overrides',
      tags: `file ${yaml}`,
      debug: 'environment SHOP_DEBUG',
      token: 'environment SHOP_TOKEN',
    });
    expect(Object.isFrozen(value) && Object.isFrozen(value.server) && Object.isFrozen(value.tags)).toBe(true);
  });

  it('finds nested keys of the environment by the names of the schema', async () => {
    const source = { SHOP_SERVER__MAX_BYTES: '1e3', SHOP_SERVER__PORT: '8080', SHOP_TAGS: '["a"]' };
    const { value } = await load({ environment: { source, prefix: 'SHOP_' } });
    expect(value).toMatchObject({ server: { maxBytes: 1000, port: 8080 }, tags: ['a'] });
  });

  it('reports every issue of every layer at once with its source, and no value', async () => {
    const bad = await file('bad.json', '{ "token": "hunter2", }');
    const yaml = await file('ok.yaml', 'sever: { port: hunter2 }\ndebug: "hunter2"\n');
    const error = await failure({
      files: [bad, yaml, join(folder, 'none.json'), await file('x.toml', '')],
      environment: { source: { SHOP_SERVER__PORT: 'hunter2', SHOP_WHAT: 'hunter2' }, prefix: 'SHOP_' },
    });
    expect(error.details?.['issues']).toEqual([
      expect.objectContaining({
        field: bad,
        expected: 'valid JSON',
        received: expect.stringMatching(/^an error( in line 1, column 23)?$/),
      }),
      expect.objectContaining({ field: join(folder, 'none.json'), received: 'nothing' }),
      expect.objectContaining({ field: join(folder, 'x.toml') }),
      expect.objectContaining({
        field: 'server.port',
        expected: 'number',
        received: 'string from environment SHOP_SERVER__PORT',
      }),
      expect.objectContaining({ field: 'debug', received: `string from file ${yaml}` }),
      expect.objectContaining({
        field: 'sever',
        received: `an unknown name from file ${yaml}`,
        remedy: 'Remove it. Did you mean `server`?',
      }),
      expect.objectContaining({ field: 'what', received: 'an unknown name from environment SHOP_WHAT' }),
    ]);
    expect(error.message + JSON.stringify(error.details) + String(error.cause)).not.toContain('hunter2');
  });

  it('refuses broken YAML by place, alias bombs, and keys that would reach a prototype', async () => {
    const broken = await file('a.yaml', 'server:\n  port: [1\n');
    expect((await failure({ files: [broken] })).message).toMatch(
      /valid YAML, received [A-Z_]+ in line \d+, column \d+/,
    );
    const bomb = ['a: &a [x,x,x,x,x,x,x,x,x]'];
    for (let level = 1; level < 9; level++) {
      const before = String.fromCharCode(96 + level);
      const name = String.fromCharCode(97 + level);
      bomb.push(`${name}: &${name} [${Array(9).fill(`*${before}`).join(',')}]`);
    }
    expect((await failure({ files: [await file('b.yaml', bomb.join('\n'))] })).message).toContain('aliases');
    expect((await failure({ files: [await file('c.yaml', 'a: *unknown')] })).message).toContain('valid YAML');
    const json = await file('p.json', '{ "server": { "port": 1 }, "__proto__": { "polluted": true } }');
    expect((await failure({ files: [json] })).details?.['issues']).toMatchObject([{ field: '__proto__' }]);
    const yaml = await file('p.yaml', 'server: { port: 1, __proto__: { polluted: true } }');
    expect((await failure({ files: [yaml] })).details?.['issues']).toMatchObject([{ field: 'server.__proto__' }]);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  it('leaves its inputs alone', async () => {
    const defaults = { server: { port: 1 }, tags: ['a'] };
    await load({ defaults, overrides: { server: { port: 2 } } });
    expect(defaults).toEqual({ server: { port: 1 }, tags: ['a'] });
    expect(Object.isFrozen(defaults.tags)).toBe(false);
  });

  it('says which file cannot be read', async () => {
    await expect(load({ files: [folder] })).rejects.toMatchObject({
      code: 'MNOPS_CORE_STORAGE_FAILED',
      details: { path: folder },
    });
  });
});

describe('serviceIdentity', () => {
  it('takes what is given, and each unset field from its variable', () => {
    const environment = {
      MNOPS_SERVICE: 'env',
      OTEL_SERVICE_NAME: 'otel',
      MNOPS_VERSION: '2',
      MNOPS_INSTANCE: '',
      MNOPS_REVISION: 'r1',
    };
    expect(serviceIdentity('shop', environment)).toEqual({ name: 'shop', version: '2', revision: 'r1' });
    expect(serviceIdentity(undefined, environment).name).toBe('env');
    expect(serviceIdentity({}, { OTEL_SERVICE_NAME: 'otel' })).toEqual({ name: 'otel' });
    expect(serviceIdentity(undefined, {})).toEqual({ name: 'unknown_service:node' });
    const full = {
      name: 'a',
      namespace: 'n',
      version: '1',
      environment: 'e',
      instance: 'i',
      revision: 'r',
      attributes: { region: 'x' },
    };
    expect(serviceIdentity(full, environment)).toEqual(full);
    expect(Object.isFrozen(serviceIdentity(full, {}))).toBe(true);
  });

  it('refuses an empty or overlong field by name', () => {
    expect(() => serviceIdentity('', {})).toThrow(
      /service\.name: expected text of 1 to 255 characters, received empty string/,
    );
    expect(() => serviceIdentity({ name: 'a', version: 'x'.repeat(300) }, {})).toThrow(/service\.version/);
  });
});
