import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { HealthReport } from '../spi/base.js';
import type { HealthSource } from '../spi/health-source.js';
import { type ContractRunner, type ContractSubject, casesOf, identityCases } from './contract.js';
import { testCall } from './test-call.js';

/** A health source under test. */
export interface HealthSourceSubject extends ContractSubject<HealthSource> {
  /** Brings what is judged into a state, where a test can; the next report must say so. */
  become?(status: 'healthy' | 'unhealthy'): void | Promise<void>;
  /** Makes judging impossible, where a test can; the next report must be `unknown`. */
  obstruct?(): void | Promise<void>;
}

/** Holds a `HealthSource` to its interface: whole reports with reasons, and no rejection when judging fails. */
export function healthSourceContract(
  runner: ContractRunner,
  name: string,
  create: () => Promise<HealthSourceSubject>,
): void {
  runner.describe(`health source contract: ${name}`, () => {
    const test = casesOf(runner, create);
    identityCases<HealthSource>(test, 'health-source');

    test('gives a whole report', async ({ provider }) => {
      assertReport(await provider.check(testCall()));
    });

    test('judges anew at each call', async ({ provider }) => {
      const first = await provider.check(testCall());
      await delay(2);
      const second = await provider.check(testCall());
      assert.ok(second.atMs >= first.atMs, 'a later report is not older');
    });

    test('says what changed, with reasons', async ({ provider, become }) => {
      if (become === undefined) return;
      await become('healthy');
      const well = await provider.check(testCall());
      assertReport(well);
      assert.equal(well.status, 'healthy');
      await become('unhealthy');
      const ill = await provider.check(testCall());
      assertReport(ill);
      assert.equal(ill.status, 'unhealthy');
      await become('healthy');
      assert.equal((await provider.check(testCall())).status, 'healthy');
    });

    test('reports unknown when it cannot judge', async ({ provider, obstruct }) => {
      if (obstruct === undefined) return;
      await obstruct();
      const report = await provider.check(testCall());
      assertReport(report);
      assert.equal(report.status, 'unknown');
    });

    test('does not reject when its back end breaks', async ({ provider, faults }) => {
      if (faults === undefined) return;
      for (const fault of ['reset', 'truncated', 'garbage'] as const) {
        faults.next(fault);
        const report = await provider.check(testCall());
        assertReport(report);
        assert.notEqual(report.status, 'healthy', `${fault} is not health`);
      }
    });

    test('ends at once when the call is aborted', async ({ provider, faults }) => {
      faults?.next('hang');
      const call = testCall();
      const reason = new Error('aborted');
      const running = provider.check(call).catch((error: unknown) => error);
      call.abort(reason);
      const ended = await Promise.race([running, delay(2_000, 'still running', { ref: false })]);
      assert.notEqual(ended, 'still running');
      // An answer that was ready already is as good as the reason.
      if (ended !== reason) assertReport(ended as HealthReport);
    });
  });
}

function assertReport(report: HealthReport, path = 'report'): void {
  assert.ok(
    ['healthy', 'degraded', 'unhealthy', 'unknown'].includes(report.status),
    `${path}: status ${report.status}`,
  );
  assert.ok(Array.isArray(report.reasons), `${path}: reasons is a list`);
  assert.ok(
    report.reasons.every((reason) => typeof reason === 'string' && reason.trim() !== ''),
    `${path}: every reason says something`,
  );
  assert.equal(report.reasons.length === 0, report.status === 'healthy', `${path}: reasons unless healthy`);
  assert.ok(Number.isFinite(report.atMs) && report.atMs > 0, `${path}: atMs is a time`);
  for (const [part, inner] of Object.entries(report.parts ?? {})) assertReport(inner, `${path}.${part}`);
}
