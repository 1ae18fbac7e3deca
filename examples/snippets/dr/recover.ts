import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HealthSource } from '@mnops/core/spi';
import { DisasterRecoveryManager, files, type RecoveryPlan } from '@mnops/dr';

const base = await mkdtemp(join(tmpdir(), 'mnops-snippet-'));
const data = join(base, 'orders');
await mkdir(data);
await writeFile(join(data, 'ledger'), 'paid');
const dr = new DisasterRecoveryManager({
  service: 'orders',
  key: 'a passphrase',
  sources: [files(data)],
  folder: join(base, 'dr'),
  tier: 1,
});
await dr.backup();
const lastWriteAt = new Date();

let running = true;
const service = {
  stop: async () => {
    running = false;
  },
  start: async () => {
    running = true;
  },
};

// #region plan
/** Healthy when the service answers well: a probe of yours, or the `healthSource` of another MNOps package. */
const ready: HealthSource = {
  specVersion: 1,
  kind: 'health-source',
  id: 'orders',
  check: async () => {
    const well = running && (await readFile(join(data, 'ledger'), 'utf8')) === 'paid';
    return { status: well ? 'healthy' : 'unhealthy', reasons: well ? [] : ['no answer'], atMs: Date.now() };
  },
};

const plan: RecoveryPlan = {
  name: 'orders',
  stop: () => service.stop(),
  restore: { sources: ['orders'] },
  start: () => service.start(),
  ready,
};
// #endregion

// #region drill
const drill = await dr.drill(plan); // in a folder of its own; production is not touched
console.log(drill.verdict, drill.rtoMs, drill.rpoMs, drill.objectiveMet, drill.restore?.verifiedFiles);
// #endregion
assert.equal(drill.verdict, 'passed');

await rm(data, { recursive: true });
const outageStartedAt = new Date();

// #region recover
const outcome = await dr.recover(plan, { outageStartedAt, lastWriteAt });
for (const { phase, durationMs } of outcome.phases) console.log(phase, durationMs);
console.log(`RTO ${outcome.rtoMs} ms, RPO ${outcome.rpoMs} ms, objective met: ${outcome.objectiveMet}`);
// #endregion
assert.equal(outcome.objectiveMet, true);
assert.equal(await readFile(join(data, 'ledger'), 'utf8'), 'paid');

// #region report
const now = new Date();
const report = await dr.complianceReport({
  framework: 'soc2',
  from: new Date(now.getTime() - 90 * 86_400_000),
  to: new Date(now.getTime() + 1),
  folder: join(base, 'audit'),
});
console.log(report.text); // evidence for each control, and the gaps
// #endregion
assert.equal(report.counts.drills, 1);
assert.ok(report.chain.intact);
await dr.stop();
await rm(base, { recursive: true });
