import type { AuditEntry, AuditSink } from '@mnops/core/spi';
import { afterEach, expect, it } from 'vitest';
import { memory } from '../providers/memory/index.js';
import { SecretsManager } from '../secrets-manager.js';

let secrets: SecretsManager | undefined;
afterEach(() => secrets?.stop());

it('records reads from the cache too, hands out none while recording fails, and goes on after it', async () => {
  const kept: AuditEntry[] = [];
  let down = false;
  const sink: AuditSink = {
    append: async (entries) => {
      if (down) throw new Error('down');
      kept.push(...entries);
    },
  };
  secrets = new SecretsManager({ provider: memory({ values: { a: 'x', b: 'y' } }), audit: { sink } });
  for (let times = 0; times < 3; times += 1) expect((await secrets.getOrThrow('a')).reveal()).toBe('x');
  down = true;
  const refused = { code: 'MNOPS_CORE_AUDIT_UNAVAILABLE' };
  await expect(secrets.put('b', 'z')).rejects.toMatchObject(refused);
  await expect(secrets.get('a')).rejects.toMatchObject(refused);
  await expect(secrets.get('a')).rejects.toMatchObject(refused);
  down = false;
  expect((await secrets.getOrThrow('a')).reveal()).toBe('x');
  await secrets.stop();
  const reads = kept.flatMap(({ record }) => (record?.target === 'a' && record.outcome === 'ok' ? record.details : []));
  const cached = { cached: true, provider: 'memory', version: '1' };
  expect(reads.slice(0, 3)).toEqual([{ ...cached, cached: false }, cached, cached]);
  expect(reads.at(-1)).toEqual(cached);
  await expect(secrets.get('a')).rejects.toMatchObject({ code: 'MNOPS_CORE_CLOSED' });
});
