import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { rawKey } from '@mnops/core/crypto';
import type { Lease } from '@mnops/core/spi';
import { eventually, rotatorContract } from '@mnops/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encryptedFile } from '../providers/encrypted-file/index.js';
import { memory } from '../providers/memory/index.js';
import { SecretsManager } from '../secrets-manager.js';
import { acceptedBy, fileRotator, type Hook, newTarget } from './fixtures/file-target.js';

let folder: string;
let target: string;
const open: SecretsManager[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mnops-rotation-'));
  target = join(folder, 'target.json');
  await newTarget(target, 'first');
});
afterEach(async () => {
  for (const secrets of open.splice(0)) await secrets.stop();
  await rm(folder, { recursive: true, force: true });
});

function vaultManager(
  hook?: Hook,
  more: { graceMs?: number; stepTimeoutMs?: number; overlap?: boolean } = {},
): SecretsManager {
  const { overlap = true, graceMs = 0, ...rest } = more;
  const secrets = new SecretsManager({
    provider: encryptedFile({
      file: join(folder, 'secrets.vault'),
      key: rawKey(Buffer.alloc(32, 5)),
      reloadIntervalMs: 20,
    }),
    folder,
    leaseTtlMs: 1_000,
    rotations: { 'db/login': { rotator: fileRotator(target, hook, { overlap }), graceMs, ...rest } },
  });
  open.push(secrets);
  return secrets;
}

rotatorContract({ describe, it }, 'file target of these tests', async () => {
  const own = await mkdtemp(join(tmpdir(), 'mnops-rotator-'));
  const file = join(own, 'target.json');
  await newTarget(file, 'first');
  return {
    provider: fileRotator(file),
    current: Buffer.from('first'),
    accepts: async (value: Uint8Array) => (await acceptedBy(file)).includes(Buffer.from(value).toString()),
    close: () => rm(own, { recursive: true, force: true }),
  };
});

describe('rotation', () => {
  it('leaves exactly the new value working, and records every step once', async () => {
    const secrets = vaultManager();
    await secrets.put('db/login', 'first');
    const result = await secrets.rotation.rotate('db/login');
    expect(result).toMatchObject({ outcome: 'completed', version: '2', previousVersion: '1' });
    const current = (await secrets.getOrThrow('db/login')).reveal();
    expect(await acceptedBy(target)).toEqual([current]);
    const steps: string[] = [];
    for await (const { operation } of secrets.audit.query())
      if (operation.startsWith('rotate:')) steps.push(operation.slice(7));
    expect(steps).toEqual([
      'intent-recorded',
      'pending-stored',
      'applied',
      'verified',
      'promoted',
      'grace-recorded',
      'revoked',
      'closed',
    ]);
    expect(await secrets.rotation.state('db/login')).toMatchObject({ state: 'idle', lastRotatedAt: expect.any(Date) });
  });

  it('keeps the old value accepted through the grace, in handles of other processes too, at every moment', async () => {
    const operator = vaultManager(undefined, { graceMs: 400 });
    await operator.put('db/login', 'first');
    const service = new SecretsManager({
      provider: encryptedFile({
        file: join(folder, 'secrets.vault'),
        key: rawKey(Buffer.alloc(32, 5)),
        reloadIntervalMs: 20,
      }),
    });
    open.push(service);
    const [shown, accepting] = [operator.handle('db/login'), service.handle('db/login')];
    await Promise.all([shown.ready(), accepting.ready()]);
    let refused = 0;
    let looks = 0;
    const load = setInterval(() => {
      looks += 1;
      const value = shown.current;
      if (!accepting.accepted.some((each) => each.equals(value.bytes()))) refused += 1;
      const late = accepting.current;
      if (!shown.accepted.some((each) => each.equals(late.bytes()))) refused += 1;
    }, 1);
    expect(await operator.rotation.rotate('db/login')).toMatchObject({ outcome: 'grace', revokeAt: expect.any(Date) });
    expect(await acceptedBy(target)).toHaveLength(2);
    await expect(operator.rotation.rotate('db/login')).rejects.toMatchObject({
      code: 'MNOPS_SECRETS_ROTATION_IN_PROGRESS',
    });
    await eventually(async () => (await operator.rotation.state('db/login')).state === 'idle');
    await eventually(() => accepting.accepted.length === 1 && accepting.current.version === '2');
    clearInterval(load);
    expect(looks).toBeGreaterThan(50);
    expect(refused).toBe(0);
    expect(await acceptedBy(target)).toEqual([accepting.current.reveal()]);
  });

  it('promotes nothing unverified, discards it, and shows no value in the error', async () => {
    let pending = '';
    const secrets = vaultManager(async (point) => {
      if (point !== 'verifying') return;
      pending = (await acceptedBy(target))[1] ?? '';
      await newTarget(target, 'first');
    });
    await secrets.put('db/login', 'first');
    const error: unknown = await secrets.rotation.rotate('db/login').catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'MNOPS_SECRETS_ROTATION_FAILED', details: { step: 'verify' } });
    expect(pending).not.toBe('');
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(pending);
    expect((await secrets.getOrThrow('db/login')).reveal()).toBe('first');
    expect((await secrets.describe('db/login'))?.stages).toEqual({ current: '1' });
    expect(await secrets.rotation.state('db/login')).toMatchObject({ state: 'failed', failure: { step: 'verify' } });
    await newTarget(target, 'first');
  });

  it('gives up a step that hangs after its time, and an aborted rotation at once', async () => {
    const hang = vaultManager((point) => (point === 'applying' ? new Promise(() => undefined) : undefined), {
      stepTimeoutMs: 50,
    });
    await hang.put('db/login', 'first');
    await expect(hang.rotation.rotate('db/login')).rejects.toMatchObject({
      details: { step: 'apply', code: 'MNOPS_CORE_TIMEOUT' },
    });
    await hang.stop();
    let applying: () => void = () => undefined;
    const reached = new Promise<void>((resolve) => {
      applying = resolve;
    });
    const waiting = vaultManager((point) => {
      if (point !== 'applying') return undefined;
      applying();
      return new Promise(() => undefined);
    });
    const rotating = waiting.rotation.rotate('db/login').catch((caught: unknown) => caught);
    await reached;
    await expect(vaultManager().rotation.rotate('db/login')).rejects.toMatchObject({
      code: 'MNOPS_SECRETS_ROTATION_IN_PROGRESS',
    });
    expect(await waiting.rotation.abort('db/login')).toMatchObject({ outcome: 'aborted' });
    expect(await rotating).toMatchObject({ code: 'MNOPS_CORE_ABORTED' });
    expect(await acceptedBy(target)).toEqual(['first']);
    await expect(waiting.rotation.abort('db/login')).rejects.toMatchObject({ code: 'MNOPS_CORE_NOT_FOUND' });
  });

  it.each(['revoking', 'discarding'])(
    'that loses its lease while %s is cut off, not failed, and goes on',
    async (point) => {
      let lose: () => void = () => undefined;
      let lost = 0;
      const lease: Lease = {
        specVersion: 1,
        kind: 'lease',
        id: 'losing',
        async acquire(_name, { owner }) {
          const controller = new AbortController();
          lose = () => controller.abort(Object.assign(new Error('lost'), { code: 'MNOPS_CORE_CONFLICT' }));
          const { signal } = controller;
          return { name: 'x', owner, token: 1n, signal, renew: async () => undefined, release: async () => undefined };
        },
      };
      const rotator = fileRotator(target, async (now) => {
        if (now === 'verifying' && point === 'discarding') throw new Error('refused');
        if (now !== point || lost > 0) return;
        lost += 1;
        lose();
        await new Promise(() => undefined);
      });
      const secrets = new SecretsManager({
        provider: memory({ values: { 'db/login': 'first' } }),
        lease,
        rotations: { 'db/login': { rotator, graceMs: 0 } },
      });
      open.push(secrets);
      await expect(secrets.rotation.rotate('db/login')).rejects.toMatchObject({
        code: 'MNOPS_SECRETS_ROTATION_IN_PROGRESS',
      });
      await secrets.rotation.resume('db/login');
      expect(await acceptedBy(target)).toEqual([(await secrets.getOrThrow('db/login', { maxAgeMs: 0 })).reveal()]);
      expect(lost).toBe(1);
    },
  );

  it('is superseded by a value that somebody writes meanwhile', async () => {
    const secrets = vaultManager(async (point) => {
      if (point === 'verifying') await secrets.put('db/login', 'by hand');
    });
    await secrets.put('db/login', 'first');
    await expect(secrets.rotation.rotate('db/login')).rejects.toMatchObject({ details: { step: 'promote' } });
    expect((await secrets.getOrThrow('db/login')).reveal()).toBe('by hand');
    expect(await acceptedBy(target)).toEqual(['first']);
  });

  it('closes the gap of a rotator without overlap with withSecret', async () => {
    const login = async (password: string): Promise<string> => {
      if (!(await acceptedBy(target)).includes(password)) throw Object.assign(new Error('refused'), { code: '28P01' });
      return 'in';
    };
    const isAuthError = (error: unknown): boolean => (error as { code?: string }).code === '28P01';
    let failures = 0;
    let calls = 0;
    const use = async (): Promise<void> => {
      calls += 1;
      await secrets
        .withSecret('db/login', (value) => login(value.reveal()), { isAuthError })
        .catch(() => {
          failures += 1;
        });
    };
    const secrets = vaultManager(
      async (point) => {
        if (point === 'applied-unrecorded') await newTarget(target, ...(await acceptedBy(target)).slice(-1));
        await use();
      },
      { overlap: false },
    );
    await secrets.put('db/login', 'first');
    await use();
    await secrets.rotation.rotate('db/login');
    await use();
    expect(calls).toBeGreaterThan(6);
    expect(failures).toBe(0);
  });

  it('needs a folder for its journal with a durable store, and none with a store in memory', async () => {
    const rotator = fileRotator(target);
    const durable = encryptedFile({ file: join(folder, 'x'), key: rawKey(Buffer.alloc(32)) });
    expect(() => new SecretsManager({ provider: durable, rotations: { a: { rotator } } })).toThrow(/folder/);
    const secrets = new SecretsManager({
      provider: memory({ values: { 'db/login': 'first' } }),
      rotations: { 'db/login': { rotator, graceMs: 0 } },
    });
    open.push(secrets);
    expect(await secrets.rotation.rotate('db/login')).toMatchObject({ outcome: 'completed' });
    await expect(secrets.rotation.rotate('other')).rejects.toMatchObject({ code: 'MNOPS_CORE_NOT_FOUND' });
    const everySecond = { rotator, schedule: { everyMs: 1_000 }, graceMs: 2_000 };
    expect(() => new SecretsManager({ provider: memory(), rotations: { a: everySecond } })).toThrow(/graceMs/);
  });

  it('refuses a grace that is no duration, instead of revoking the old value at once', async () => {
    const secrets = vaultManager();
    await secrets.put('db/login', 'first');
    for (const graceMs of [Number.NaN, -1, Number.POSITIVE_INFINITY, 1e300, '1h', null] as number[]) {
      await expect(secrets.rotation.rotate('db/login', { graceMs })).rejects.toMatchObject({
        code: 'MNOPS_CORE_CONFIG_INVALID',
        details: { issues: [{ field: 'graceMs' }] },
      });
    }
    expect(await acceptedBy(target)).toEqual(['first']);
    expect(await secrets.rotation.state('db/login')).toMatchObject({ state: 'idle' });
  });

  it('rotates on the schedule that was given', async () => {
    const rotator = fileRotator(target);
    const secrets = new SecretsManager({
      provider: memory({ values: { 'db/login': 'first' } }),
      rotations: { 'db/login': { rotator, schedule: { everyMs: 50 }, graceMs: 0, jitterMs: 0 } },
    });
    open.push(secrets);
    await secrets.start();
    await eventually(async () => Number((await secrets.describe('db/login'))?.version) >= 3);
    await secrets.stop();
  });
});
