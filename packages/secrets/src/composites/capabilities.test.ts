import type { SecretCapabilities, SecretProvider } from '@mnops/core/spi';
import { testCall } from '@mnops/core/testing';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { memory } from '../providers/memory/index.js';
import { weakest } from './capabilities.js';
import { fallback } from './fallback.js';
import { merge } from './merge.js';
import { mirror } from './mirror.js';
import { route } from './route.js';

const support = fc.constantFrom('native', 'emulated', 'none');
const orders: Readonly<Record<string, readonly string[]>> = {
  stages: ['none', 'emulated', 'native'],
  atomicPromote: ['none', 'emulated', 'native'],
  repeatableWrites: ['none', 'emulated', 'native'],
  binary: ['none', 'emulated', 'native'],
  keyValueMap: ['none', 'emulated', 'native'],
  tags: ['none', 'emulated', 'native'],
  watch: ['none', 'emulated', 'native'],
  compareAndSet: ['none', 'metadata', 'version'],
  softDelete: ['none', 'secret', 'version'],
  serverExpiry: ['none', 'advisory', 'deletes'],
  readAfterWrite: ['eventual', 'by-version', 'strong'],
};
const flags = ['write', 'list', 'emptyValue', 'annotations', 'leases', 'durable', 'serverAudit'] as const;
const capabilities = fc.record({
  ...Object.fromEntries(
    Object.entries(orders).map(([name, order]) => [name, order.length === 3 ? fc.constantFrom(...order) : support]),
  ),
  ...Object.fromEntries(flags.map((name) => [name, fc.boolean()])),
  versionIds: fc.constantFrom('integer', 'token', 'hash', 'none'),
  maxVersions: fc.option(fc.integer({ min: 1, max: 100 }), { nil: undefined }),
  maxValueBytes: fc.integer({ min: 1, max: 1e6 }),
  batchGet: fc.integer({ min: 0, max: 50 }),
  propagationMs: fc.integer({ min: 0, max: 1e5 }),
  recoveryDays: fc.option(
    fc.record({ least: fc.integer({ min: 1, max: 10 }), most: fc.integer({ min: 10, max: 90 }) }),
    { nil: undefined },
  ),
});

it('promises of several providers what each of them keeps, and no less', () => {
  fc.assert(
    fc.property(fc.array(capabilities, { minLength: 1, maxLength: 4 }), (given) => {
      const all = given as unknown as readonly SecretCapabilities[];
      const providers = all.map((each): SecretProvider => ({ ...memory(), capabilities: each }));
      const found = weakest(providers) as unknown as Readonly<Record<string, unknown>>;
      for (const [name, order] of Object.entries(orders)) {
        const ranks = given.map((each) => order.indexOf((each as unknown as Record<string, string>)[name] ?? ''));
        expect([name, order.indexOf(String(found[name]))]).toEqual([name, Math.min(...ranks)]);
      }
      for (const name of flags) expect(found[name]).toBe(all.every((each) => each[name]));
      expect(found['maxValueBytes']).toBe(Math.min(...all.map((each) => each.maxValueBytes)));
      expect(found['propagationMs']).toBe(Math.max(...all.map((each) => each.propagationMs)));
      const days = found['recoveryDays'] as { least: number; most: number } | undefined;
      expect(days === undefined).toBe(all.some(({ recoveryDays }) => recoveryDays === undefined));
      for (const { recoveryDays } of days === undefined ? [] : all) {
        expect(days?.least).toBeGreaterThanOrEqual(recoveryDays?.least ?? 0);
        expect(days?.most).toBeLessThanOrEqual(recoveryDays?.most ?? 0);
      }
    }),
  );
});

/** A store that learns when it is opened that it keeps no versions, as one in Vault does. */
function learning(): SecretProvider {
  const store = memory();
  let known = store.capabilities;
  return {
    ...store,
    get capabilities() {
      return known;
    },
    open: async () => {
      known = { ...known, stages: 'none', compareAndSet: 'none', annotations: false, emptyValue: false };
    },
  };
}

it('says what a member can do that knows it only when it is open, through composites of composites', async () => {
  const composites: Record<string, (member: SecretProvider) => SecretProvider> = {
    route: (member) => route({ '': member }),
    fallback: (member) => fallback([member, memory()]),
    merge: (member) => merge([member, memory()]),
    mirror: (member) => mirror([member, memory()]),
    nested: (member) => route({ 'a/': fallback([mirror([member])]) }),
  };
  for (const [name, make] of Object.entries(composites)) {
    const provider = make(learning());
    expect([name, provider.capabilities.emptyValue]).toEqual([name, true]);
    await provider.open?.(testCall());
    expect(provider.capabilities).toMatchObject({ stages: 'none', compareAndSet: 'none', annotations: false });
    expect([name, provider.capabilities.emptyValue]).toEqual([name, false]);
    expect(provider.capabilities).toBe(provider.capabilities);
  }
});
