import { createHash } from 'node:crypto';
import { readdir, readFile, rename, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { callOf } from '@mnops/core';
import type { HealthSource } from '@mnops/core/spi';
import type { BackupResult, RecoveryOutcome, RecoveryPlan } from '@mnops/dr';
import { ContainerOrchestrationManager, local } from '@mnops/orchestration';
import type { RecoveryFigures, TracedWork } from '../../report/report-data.js';
import { ask } from '../client.js';
import { tryCredential } from '../credential-rotator.js';
import type { Observer } from '../observer.js';
import { ordersService } from '../services.js';
import { credentialPath, type Shop } from '../shop.js';
import type { StepContext } from '../step.js';
import { pause, until } from '../wait.js';
import { expectOneTrace } from './follow.js';

/** Backs up the data of orders, the vault and the logs into one recovery point. */
export async function backUp(shop: Shop, observer: Observer, { expect, say }: StepContext): Promise<BackupResult> {
  await shop.logs.flush();
  const result = await shop.recovery.backup({ tags: ['shop'] });
  observer.mark('change', 'backup');
  for (const { id, files, bytes } of result.sources) say(`${id}: ${files} files, ${bytes} bytes`);
  expect(
    'orders, vault and logs are in one recovery point',
    result.state === 'committed' && result.sources.length === 3,
    `${result.bytes} bytes in ${result.durationMs.toFixed(0)} ms`,
  );
  const check = await shop.recovery.validate({ depth: 'full' });
  expect(
    'every byte of the repository was read again and is whole',
    check.state === 'intact' && check.findings.length === 0 && check.readBytes >= result.storedBytes,
    `${check.readBytes} bytes in ${check.blobs} blobs of ${check.packs} packs, ${check.durationMs.toFixed(0)} ms`,
  );
  return result;
}

/** Restores into a folder apart, starts an orders service on it, and ends it again. */
export async function drill(shop: Shop, observer: Observer, { expect }: StepContext): Promise<RecoveryFigures> {
  const fromMs = Date.now();
  const outcome = await shop.recovery.drill(recoveryPlan(shop), { lastWriteAt: await lastOrderAt(shop) });
  observer.mark('good', 'drill passed');
  expect('the drill passed in isolation', outcome.verdict === 'passed', phasesOf(outcome));
  await shop.load.reportedUntil(Date.now());
  const { ok, serverErrors, dropped } = shop.load.summary(fromMs);
  expect(
    'no client noticed it',
    ok > 0 && serverErrors + dropped === 0,
    `${serverErrors + dropped} of ${ok} requests failed`,
  );
  return judged('Drill, into a folder apart', outcome, expect);
}

/** Destroys the data of orders, and brings it back. */
export async function destroyAndRecover(
  shop: Shop,
  observer: Observer,
  backup: BackupResult,
  { expect, say }: StepContext,
): Promise<{ figures: RecoveryFigures; trace: TracedWork | undefined }> {
  const { monitoring, recovery } = shop;
  observer.mark('maintenance', 'orders data destroyed');
  const lastWriteAt = await lastOrderAt(shop);
  const outageStartedAt = new Date();
  // Away at once, whatever is being written in it; then for good.
  await rename(shop.folder.orders, `${shop.folder.orders}.destroyed`);
  await rm(`${shop.folder.orders}.destroyed`, { recursive: true, maxRetries: 10 });
  const down = await until(async () => !(await answers(shop)), 10_000);
  expect('the shop is down for real', down, `${Date.now() - outageStartedAt.getTime()} ms after the data was gone`);
  say('stop, restore, start, first good answer');
  let exact = { files: 0, wrong: [] as string[] };
  const plan = recoveryPlan(shop);
  const start = async (): Promise<void> => {
    exact = await compareWithBackup(shop.folder.orders, backup);
    await plan.start?.({} as never);
  };
  const { traceId, outcome } = await shop.apm.trace('recover the shop', async (span) => {
    await announce(shop, 'Maintenance: orders is being recovered');
    return {
      traceId: span.spanContext().traceId,
      outcome: await recovery.recover({ ...plan, start }, { outageStartedAt, lastWriteAt }),
    };
  });
  observer.mark('good', 'orders recovered');
  expect(
    'every file is byte-exact against the hashes of the backup',
    exact.files > 0 && exact.wrong.length === 0,
    `${exact.files} files, ${exact.wrong.length} different`,
  );
  expect('the service answers again', outcome.verdict === 'passed', phasesOf(outcome));
  const figures = judged('Recovery of destroyed data, in place', outcome, expect);
  await seenFromOutside(shop, outageStartedAt.getTime(), figures.rtoMs, expect);
  await announce(shop, 'Maintenance over');
  await until(() => monitoring.alerts().length === 0, 10_000);
  return { figures, trace: await expectOneTrace(shop, traceId, { expect, say }) };
}

/** What the clients saw of the outage, which nobody told them of: it began and ended when the recovery says so. */
async function seenFromOutside(
  { load }: Shop,
  outageMs: number,
  rtoMs: number,
  expect: StepContext['expect'],
): Promise<void> {
  await pause(3_000);
  await load.reportedUntil(Date.now());
  const during = load.figures.filter(({ atMs }) => atMs > outageMs);
  const failed = ({ serverErrors, dropped }: (typeof during)[0]): number => serverErrors + dropped;
  const lastFailure = during.findLast((figures) => failed(figures) > 0)?.atMs ?? Number.NaN;
  const waitedMs = during.reduce((most, { latenciesMs }) => Math.max(most, ...latenciesMs), 0);
  // Figures come every quarter of a second, and what was under way at the end is answered after it.
  expect(
    'clients saw the same outage from outside',
    lastFailure - outageMs < rtoMs + 1_000,
    `${during.reduce((sum, figures) => sum + failed(figures), 0)} failed, the last ${((lastFailure - outageMs) / 1_000).toFixed(1)} s after the data was gone; others waited ${(waitedMs / 1_000).toFixed(1)} s`,
  );
  const after = load.summary(outageMs + rtoMs + 1_000);
  expect(
    'and are served as before',
    after.ok > 0 && after.serverErrors + after.dropped === 0,
    `${after.ok} at ${after.ratePerSecond.toFixed(0)}/s, ${after.serverErrors + after.dropped} failed`,
  );
}

/** How long each part took, in words. */
function phasesOf({ verdict, phases }: RecoveryOutcome): string {
  return `${verdict}: ${phases.map(({ phase, durationMs }) => `${phase} ${durationMs.toFixed(0)} ms`).join(', ')}`;
}

/** One plan for the drill and for the day it is needed. */
function recoveryPlan(shop: Shop): RecoveryPlan {
  const { orchestration } = shop;
  let drillUrl: string | undefined;
  return {
    name: 'orders',
    restore: { sources: ['orders'] },
    stop: () => orchestration.scale('orders', 0),
    start: () => orchestration.scale('orders', 1),
    ready: healthOf(() => answers(shop)),
    drill: {
      start: async ({ folders }) => {
        const apart = new ContainerOrchestrationManager({ app: 'drill', provider: local() });
        await apart.start();
        await apart.deploy(ordersService(shop.setting, folders['orders']));
        drillUrl = (await apart.inspect('orders'))?.address?.url;
        return () => apart.stop();
      },
      ready: () =>
        healthOf(async () => {
          const credential = await shop.secrets.getOrThrow(credentialPath);
          return drillUrl !== undefined && (await tryCredential(drillUrl, credential.reveal())) === 200;
        }),
    },
  };
}

function healthOf(good: () => Promise<boolean>): HealthSource {
  return {
    specVersion: 1,
    kind: 'health-source',
    id: 'shop-answers',
    check: async () => ({
      status: (await good().catch(() => false)) ? 'healthy' : 'unhealthy',
      reasons: [],
      atMs: Date.now(),
    }),
  };
}

/** Whether a client gets a product and can place an order. */
async function answers(shop: Shop): Promise<boolean> {
  try {
    const product = await ask(shop, 'GET', '/products/sku-1');
    const order = await ask(shop, 'POST', '/orders', { sku: 'sku-1', quantity: 1 });
    return product.status === 200 && order.status === 201;
  } catch {
    return false;
  }
}

/** When the last acknowledged order was written. */
async function lastOrderAt(shop: Shop): Promise<Date> {
  const lines = (await readFile(join(shop.folder.orders, 'orders.jsonl'), 'utf8')).trim().split('\n');
  const last = lines.at(-1);
  if (last === undefined || last === '') return new Date();
  return new Date((JSON.parse(last) as { at: string }).at);
}

async function compareWithBackup(folder: string, backup: BackupResult): Promise<{ files: number; wrong: string[] }> {
  const expected = new Map(
    backup.files
      .filter(({ path }) => path.startsWith('orders/'))
      .map(({ path, sha256 }) => [path.slice('orders/'.length), sha256]),
  );
  const wrong: string[] = [];
  const present = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  for (const entry of present) {
    const path = relative(folder, join(entry.parentPath, entry.name));
    const hash = createHash('sha256')
      .update(await readFile(join(folder, path)))
      .digest('hex');
    if (expected.get(path) !== hash) wrong.push(path);
    expected.delete(path);
  }
  return { files: present.length, wrong: [...wrong, ...expected.keys()] };
}

function judged(title: string, outcome: RecoveryOutcome, expect: StepContext['expect']): RecoveryFigures {
  const { rtoMs = Number.POSITIVE_INFINITY, rpoMs = Number.POSITIVE_INFINITY, objective } = outcome;
  const targetRtoMs = objective.rtoMs ?? 0;
  const targetRpoMs = objective.rpoMs ?? 0;
  expect(
    'RTO and RPO were measured and meet tier 1',
    outcome.objectiveMet === true,
    `RTO ${(rtoMs / 1_000).toFixed(2)} s of ${targetRtoMs / 60_000} min, RPO ${(rpoMs / 1_000).toFixed(2)} s of ${targetRpoMs / 60_000} min`,
  );
  const phases = outcome.phases.map(({ phase, durationMs }) => ({ name: phase, durationMs }));
  return { title, rtoMs, rpoMs, targetRtoMs, targetRpoMs, phases };
}

async function announce({ monitoring }: Shop, title: string): Promise<void> {
  const call = callOf({ timeoutMs: 1_000 });
  const startedAtMs = Date.now();
  await monitoring.notifier.send(
    { key: 'maintenance', status: 'info', severity: 'info', title, text: '', labels: {}, links: [], startedAtMs },
    call,
  );
  call.end();
}
