import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { onOperation } from '@mnops/core/operations';
import type { HealthReport, HealthSource } from '@mnops/core/spi';
import { fakeClock } from '@mnops/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { discard, passphrase, scratch } from '../../prove/repository-kit.js';
import { DisasterRecoveryManager, files, type RecoveryPlan } from '../index.js';
import { meets, objectiveOf } from './tiers.js';

let folder = '';
let dr: DisasterRecoveryManager;

beforeEach(async () => {
  folder = scratch();
  mkdirSync(join(folder, 'orders'));
  writeFileSync(join(folder, 'orders', 'ledger'), 'paid');
  dr = new DisasterRecoveryManager({
    service: 'shop',
    key: passphrase,
    sources: [files(join(folder, 'orders'))],
    folder: join(folder, 'dr'),
    tier: 1,
  });
  await dr.start();
});

afterEach(async () => {
  await dr.stop();
  discard(folder);
});

function health(judge: () => HealthReport['status']): HealthSource {
  return {
    specVersion: 1,
    kind: 'health-source',
    id: 'test',
    check: async () => ({ status: judge(), reasons: ['as told'], atMs: 0 }),
  };
}

function ledger(): string {
  return readFileSync(join(folder, 'orders', 'ledger'), 'utf8');
}

describe('recover', () => {
  it('stops, restores in place, starts, waits, and measures both figures', async () => {
    const backup = await dr.backup();
    const lastWriteAt = new Date(backup.startedAt.getTime() + 1_500);
    rmSync(join(folder, 'orders'), { recursive: true });
    const steps: string[] = [];
    let asked = 0;
    const plan: RecoveryPlan = {
      name: 'orders',
      stop: () => steps.push('stop'),
      start: ({ kind }) => steps.push(`start ${kind} ${ledger()}`),
      ready: health(() => (++asked < 3 ? 'unhealthy' : 'healthy')),
      readyPollMs: 1,
    };
    const phases: string[] = [];
    dr.on('recovery:phase-entered', ({ phase }) => phases.push(phase));
    const outageStartedAt = new Date(Date.now() - 2_000);
    const outcome = await dr.recover(plan, { outageStartedAt, lastWriteAt });
    expect(steps).toEqual(['stop', 'start recovery paid']);
    expect(phases).toEqual(['select', 'stop', 'restore', 'start', 'ready']);
    expect(outcome).toMatchObject({
      verdict: 'passed',
      rtoCovers: 'service',
      rpoFrom: 'last-write',
      objectiveMet: true,
    });
    expect(outcome.rpoMs).toBe(1_500);
    expect(outcome.rtoMs).toBeGreaterThanOrEqual(2_000);
    expect(outcome.rtoMs).toBeLessThan(60_000);
    expect(outcome.restore).toMatchObject({ state: 'exact', verifiedFiles: 1 });
    expect(outcome.phases.map(({ phase, outcome: ended }) => [phase, ended])).toEqual(
      phases.map((phase) => [phase, 'done']),
    );
  });

  it('restores as an operation of its own, inside that of the plan', async () => {
    await dr.backup();
    const events: unknown[] = [];
    const end = onOperation(({ name, phase, context }) => {
      if (phase !== 'start') events.push([name, phase, context['source'] ?? context['plan'], context['outcome']]);
    });
    try {
      const plan = { name: 'orders', restore: { sources: ['orders'] }, ready: health(() => 'healthy') };
      await dr.recover(plan, { outageStartedAt: new Date() });
      await dr.drill(plan);
      const late = { ...plan, point: 'latest', ready: health(() => 'unhealthy'), readyTimeoutMs: 0 } as const;
      await expect(dr.recover(late, { outageStartedAt: new Date() })).rejects.toThrow('was not ready');
    } finally {
      end();
    }
    const ofRecovery = events.filter((event) => String((event as unknown[])[0]).startsWith('mnops:dr:'));
    expect(ofRecovery).toEqual([
      ['mnops:dr:restore', 'end', 'orders', 'exact'],
      ['mnops:dr:recover', 'end', 'orders', 'passed'],
      ['mnops:dr:restore', 'end', 'orders', 'exact'],
      ['mnops:dr:drill', 'end', 'orders', 'passed'],
      ['mnops:dr:restore', 'end', 'orders', 'exact'],
      ['mnops:dr:recover', 'error', 'orders', 'failed'],
    ]);
  });

  it('fails by name when the service never answers, with the phases in the evidence', async () => {
    await dr.backup();
    const plan: RecoveryPlan = { ready: health(() => 'unhealthy'), readyTimeoutMs: 20, readyPollMs: 5 };
    const failure = await dr.recover(plan, { outageStartedAt: new Date() }).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: 'MNOPS_DR_RECOVERY_FAILED',
      details: { phase: 'ready', result: { verdict: 'failed', objectiveMet: false } },
    });
    const broken = {
      ...health(() => 'healthy'),
      check: () => Promise.reject(new Error('The probe found no port.')),
    };
    const thrown = await dr
      .recover({ ready: broken, readyTimeoutMs: 5, readyPollMs: 1 }, { outageStartedAt: new Date() })
      .catch((error: unknown) => error);
    expect(thrown).toMatchObject({
      message: expect.stringContaining('The probe found no port.'),
      details: { phase: 'ready' },
    });
    const report = await dr.complianceReport({
      framework: 'soc2',
      from: new Date(0),
      to: new Date(Date.now() + 60_000),
    });
    expect(report.recoveries).toMatchObject([{ verdict: 'failed' }, { verdict: 'failed' }]);
    expect(report.exceptions).toMatchObject([
      { kind: 'recovery', code: 'MNOPS_DR_RECOVERY_FAILED' },
      { kind: 'recovery', code: 'MNOPS_DR_RECOVERY_FAILED' },
    ]);
  });

  it('fails before it touches anything when there is no point', async () => {
    let stopped = false;
    const plan: RecoveryPlan = {
      stop: () => {
        stopped = true;
      },
      ready: health(() => 'healthy'),
    };
    await expect(dr.recover(plan, { outageStartedAt: new Date() })).rejects.toMatchObject({
      details: { phase: 'select', reason: 'MNOPS_DR_POINT_NOT_FOUND' },
    });
    expect(stopped).toBe(false);
    expect(ledger()).toBe('paid');
  });
});

describe('drill', () => {
  it('touches nothing of production and leaves nothing behind', async () => {
    await dr.backup();
    writeFileSync(join(folder, 'orders', 'ledger'), 'live');
    const calls: string[] = [];
    const production = (what: string) => () => void calls.push(what);
    const plan: RecoveryPlan = {
      stop: production('stop'),
      start: production('start'),
      ready: health(() => {
        calls.push('ready');
        return 'healthy';
      }),
    };
    const outcome = await dr.drill(plan);
    expect(calls).toEqual([]);
    expect(ledger()).toBe('live');
    expect(outcome).toMatchObject({
      kind: 'drill',
      verdict: 'passed',
      rtoCovers: 'data',
      objectiveMet: true,
      plan: 'orders',
    });
    expect(readdirSync(join(folder, 'dr', 'drills'))).toEqual([]);
  });

  it('runs an instance on the isolated data, and ends it', async () => {
    await dr.backup();
    const steps: string[] = [];
    const outcome = await dr.drill({
      ready: health(() => 'unhealthy'),
      drill: {
        start: ({ folders }) => {
          steps.push(readFileSync(join(folders['orders'] ?? '', 'ledger'), 'utf8'));
          return () => void steps.push('ended');
        },
        ready: () => health(() => 'healthy'),
      },
    });
    expect(steps).toEqual(['paid', 'ended']);
    expect(outcome).toMatchObject({ rtoCovers: 'service', verdict: 'passed' });
  });

  it('leaves its folder when asked, and ends the instance also after a failure', async () => {
    await dr.backup();
    const kept = await dr.drill({ ready: health(() => 'healthy') }, { keep: true });
    expect(readFileSync(join(kept.folder ?? '', 'orders', 'ledger'), 'utf8')).toBe('paid');
    let ended = false;
    const failing = dr.drill({
      ready: health(() => 'healthy'),
      readyTimeoutMs: 1,
      readyPollMs: 1,
      drill: {
        start: () => () => {
          ended = true;
        },
        ready: () => health(() => 'unhealthy'),
      },
    });
    await expect(failing).rejects.toMatchObject({ code: 'MNOPS_DR_RECOVERY_FAILED' });
    expect(ended).toBe(true);
  });
});

describe('evidence', () => {
  it('becomes a report with gaps that claims no compliance, from a chain that shows every edit', async () => {
    await dr.backup();
    await dr.validate({ depth: 'full' });
    await dr.drill({ name: 'weekly', ready: health(() => 'healthy') });
    const period = { framework: 'soc2', from: new Date(0), to: new Date(Date.now() + 60_000) } as const;
    const report = await dr.complianceReport({ ...period, folder: join(folder, 'audit-folder') });
    expect(report.counts).toMatchObject({ backups: 1, fullValidations: 1, drills: 1 });
    expect(report.chain).toMatchObject({ durable: true, signed: true, intact: true });
    expect(report.controls.map(({ id }) => id)).toEqual(['A1.2', 'A1.3', 'CC7.5', 'CC6.7', 'CC9.1']);
    expect(report.text).toContain('Evidence for it');
    expect(report.text).not.toMatch(/\bcompliant\b/);
    expect(report.text).not.toContain(passphrase);
    for (const path of report.files) expect(existsSync(path)).toBe(true);
    expect(JSON.parse((await dr.complianceReport({ ...period, format: 'json' })).text)).toMatchObject({
      framework: 'soc2',
    });
    await dr.stop();

    const audit = join(folder, 'dr', 'audit');
    const file = readdirSync(audit, { recursive: true, encoding: 'utf8' })
      .map((name) => join(audit, name))
      .find((path) => existsSync(path) && !readdirSyncSafe(path) && readFileSync(path, 'utf8').includes('dr:drill'));
    writeFileSync(file ?? '', readFileSync(file ?? '', 'utf8').replace('"verdict":"passed"', '"verdict":"failed"'));
    dr = new DisasterRecoveryManager({ service: 'shop', key: passphrase, sources: [], folder: join(folder, 'dr') });
    expect((await dr.complianceReport(period)).chain.intact).toBe(false);
  });

  it('has a recovery kit without the key', async () => {
    const kit = await dr.recoveryKit();
    expect(kit).toContain(join(folder, 'dr', 'repository'));
    expect(kit).toContain('restic restore latest');
    expect(kit).not.toContain(passphrase);
  });
});

describe('schedule', () => {
  it('backs up when it was asked to, and only then', async () => {
    const clock = fakeClock({ nowMs: Date.now() });
    const scheduled = new DisasterRecoveryManager({
      key: passphrase,
      sources: [files(join(folder, 'orders'))],
      repository: { folder: join(folder, 'scheduled') },
      schedule: { backup: { everyMs: 3_600_000 } },
      clock,
    });
    await scheduled.start();
    expect(scheduled.stats()).toMatchObject({ backups: 0, evidenceDurable: false });
    const done = new Promise((resolve) => scheduled.on('backup:completed', resolve));
    await clock.advance(3_600_000);
    // The lock looks a second time after 200 ms of this clock.
    const ticks = setInterval(() => void clock.advance(200), 5);
    await done;
    clearInterval(ticks);
    await scheduled.stop();
    expect(scheduled.stats().backups).toBe(1);
  });
});

describe('tiers', () => {
  it('set both figures, and own figures win', () => {
    expect(objectiveOf({ tier: 2 })).toEqual({ tier: 2, rtoMs: 3_600_000, rpoMs: 900_000 });
    expect(objectiveOf({ tier: 4, rpoMs: 5 })).toEqual({ tier: 4, rtoMs: 86_400_000, rpoMs: 5 });
    expect(meets(objectiveOf({}), 1, 1)).toBeUndefined();
    expect(meets(objectiveOf({ tier: 1 }), 900_000, 300_000)).toBe(true);
    expect(meets(objectiveOf({ tier: 1 }), 900_001, 0)).toBe(false);
    expect(meets(objectiveOf({ tier: 1 }), 0, 300_001)).toBe(false);
  });
});

/** Whether a path is a folder. */
function readdirSyncSafe(path: string): boolean {
  try {
    readdirSync(path);
    return true;
  } catch {
    return false;
  }
}
