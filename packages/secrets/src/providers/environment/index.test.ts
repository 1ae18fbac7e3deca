import { secretProviderContract, testCall } from '@mnops/core/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isPath } from '../../path.js';
import { SecretsManager } from '../../secrets-manager.js';
import { environment } from './index.js';
import { pathOfVariable, variableOf } from './variable-name.js';

for (const separator of ['__', '_'] as const) {
  secretProviderContract({ describe, it }, `environment with ${separator}`, async () => {
    const env: Record<string, string> = {};
    return {
      provider: environment({ prefix: 'APP_', separator, env }),
      seed: async (asked, value) => {
        env[`APP_${variableOf(asked, separator)}`] = value;
      },
    };
  });
}

const path = fc
  .oneof(
    fc.array(fc.constantFrom('a', 'z', '0', 'f', '_', '/', '-', '.', 'A', 'ü', '🔑', ' ', '%'), {
      minLength: 1,
      maxLength: 10,
    }),
    fc.array(fc.string({ unit: 'grapheme', maxLength: 4 }), { minLength: 1, maxLength: 4 }),
  )
  .map((parts) => parts.join('').normalize('NFC'))
  .filter(isPath);

describe('names of variables', () => {
  it('give back the path that they were made from, so that no two paths share one', () => {
    for (const separator of ['_', '__']) {
      fc.assert(
        fc.property(path, (each) => {
          const name = variableOf(each, separator);
          expect(name).toMatch(/^[A-Z0-9_]+$/);
          expect(pathOfVariable(name, separator)).toBe(each);
        }),
        { numRuns: 2_000 },
      );
    }
  });

  it('are one for one path, for any text', () => {
    const name = fc.array(fc.constantFrom('A', 'F', '2', '_', '__', '___', 'D', 'é'), { maxLength: 12 });
    for (const separator of ['_', '__']) {
      fc.assert(
        fc.property(name, (parts) => {
          const text = parts.join('');
          const found = pathOfVariable(text, separator);
          if (found !== undefined) expect(variableOf(found, separator)).toBe(text);
        }),
        { numRuns: 2_000 },
      );
    }
  });

  it('look as people write them', () => {
    const names = ['db/password', 'db/admin_password', 'api-key', 'a_/b', 'a/_b', 'Api', '2fa'].map((each) => [
      variableOf(each, '__'),
      variableOf(each, '_'),
    ]);
    expect(names).toEqual([
      ['DB__PASSWORD', 'DB_PASSWORD'],
      ['DB__ADMIN_PASSWORD', 'DB_ADMIN___5FPASSWORD'],
      ['API___2DKEY', 'API___2DKEY'],
      ['A___5F__B', 'A___5F_B'],
      ['A_____5FB', 'A____5FB'],
      ['___41PI', '___41PI'],
      ['2FA', '2FA'],
    ]);
  });
});

describe('environment', () => {
  it('reads through a manager, lists what has a path, and sees changes', async () => {
    const env: Record<string, string | undefined> = {
      SHOP_DB__PASSWORD: 'p',
      SHOP_EMPTY: '',
      SHOP_lower: 'x',
      SHOP_A____B: 'x',
      SHOP_: 'x',
      SHOP_UNSET: undefined,
      OTHER: 'x',
    };
    const secrets = new SecretsManager({ provider: environment({ prefix: 'SHOP_', env }), cache: false });
    const first = await secrets.getOrThrow('db/password');
    expect([first.reveal(), first.version.length]).toEqual(['p', 16]);
    expect((await secrets.getOrThrow('empty')).reveal()).toBe('');
    expect(await secrets.get('unset')).toBeUndefined();
    expect(await secrets.get('__proto__')).toBeUndefined();
    expect(await secrets.get('db/password', { version: first.version })).toBeDefined();
    expect(await secrets.get('db/password', { stage: 'previous' })).toBeUndefined();
    const paths: string[] = [];
    for await (const each of secrets.list()) paths.push(each.path);
    expect(paths).toEqual(['db/password', 'empty']);
    env['SHOP_DB__PASSWORD'] = 'q';
    const second = await secrets.getOrThrow('db/password');
    expect([second.reveal(), second.version === first.version]).toEqual(['q', false]);
    await expect(secrets.put('a', 'x')).rejects.toMatchObject({ code: 'MNOPS_CORE_UNSUPPORTED' });
    await secrets.stop();
  });

  it('has versions that nobody can try values against', async () => {
    const env = { A: 'same' };
    const versions = await Promise.all(
      [environment({ env }), environment({ env })].map((each) => each.get('a', {}, testCall())),
    );
    expect(versions[0]?.version).not.toBe(versions[1]?.version);
  });

  it('refuses options by field, and reads process.env without any', async () => {
    for (const wrong of [{ prefix: '1' }, { separator: '-' }, { env: 1 }, { prefx: '' }])
      expect(() => environment(wrong as object)).toThrow(
        expect.objectContaining({ code: 'MNOPS_CORE_CONFIG_INVALID' }),
      );
    const stored = await environment().get('path', {}, testCall());
    expect(Buffer.from(stored?.value ?? []).toString()).toBe(process.env['PATH']);
  });
});
