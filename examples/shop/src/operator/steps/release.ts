import { MnopsError } from '@mnops/core';
import { canary, latency, type OrchestrationResult } from '@mnops/orchestration';
import type { AlertSpan } from '../../report/report-data.js';
import type { Observer } from '../observer.js';
import { catalogService } from '../services.js';
import type { Shop } from '../shop.js';
import type { StepContext } from '../step.js';
import { until } from '../wait.js';

/** When the release began and ended. */
export interface Release {
  readonly startedMs: number;
  readonly endedMs: number;
  /** Requests that the clients saw fail meanwhile. */
  readonly failed: number;
}

/**
 * A share of the requests for 18 seconds each, judged against the stable version: failures over the whole time, latency over
 * the last eight seconds, when the new processes are warm.
 */
const strategy = canary({
  weights: [25, 60],
  everyMs: 18_000,
  intervalMs: 17_000,
  maxErrorShareOverStable: 0.01,
  metrics: [
    {
      ...latency({ percentile: 95, maxRatioToStable: 3, toleranceMs: 80, windowMs: 8_000 }),
      initialDelayMs: 17_000,
      intervalMs: 17_000,
      minObservations: 50,
      inconclusiveLimit: -1,
    },
  ],
});

/** Releases version 2 of the catalog as a canary and waits for the verdict. */
export async function release(
  shop: Shop,
  observer: Observer,
  kind: 'good' | 'faulty',
  { expect, say }: StepContext,
): Promise<Release> {
  const { orchestration, setting, load } = shop;
  const startedMs = Date.now();
  const failuresBefore = await proxyFailures(shop);
  observer.mark('change', 'release of catalog 2.0.0');
  const silence = orchestration.on('route:shifted', ({ service, shares }) => {
    if (service !== 'catalog') return;
    const parts = shares.by === 'weight' ? Object.values(shares.weights) : [];
    if (parts.length > 1) say(`2.0.0 gets ${parts.at(-1)} % of the requests, and is watched for 18 s`);
  });
  const result = await deployed(() => orchestration.deploy(catalogService(setting, kind), { strategy }));
  silence();
  const endedMs = Date.now();
  observer.mark(result.state === 'succeeded' ? 'good' : 'bad', `release ${result.state}`);
  const [catalog] = result.services;
  for (const { metric, verdict, message } of (catalog?.analysis ?? [])
    .filter((one) => one.verdict === 'failure')
    .slice(-2)) {
    say(`${metric} ${verdict}: ${message}`);
  }
  const status = await orchestration.inspect('catalog');
  const versions = [
    ...new Set(status?.revisions.flatMap(({ instances }) => instances.map(({ version }) => version ?? ''))),
  ];
  if (kind === 'faulty') {
    expect('the analysis aborts the canary', result.state === 'rolled-back', result.state);
    expect('every instance is of the old version again', versions.join() === '1.0.0', versions.join(', '));
  } else {
    expect('the analysis promotes the canary', result.state === 'succeeded', result.state);
    expect('every instance is of the new version', versions.join() === '2.0.0', versions.join(', '));
  }
  await load.reportedUntil(Date.now());
  const seen = load.summary(startedMs, endedMs);
  const failures = (await proxyFailures(shop)) - failuresBefore;
  expect(
    'the proxy dropped no request',
    failures === 0 && seen.dropped === 0,
    `${failures} by its own count, ${seen.dropped} by the client's, of ${seen.sent}`,
  );
  if (kind === 'faulty') {
    expect(
      'the bug was seen by clients, and bounded by the canary',
      seen.serverErrors > 0 && seen.serverErrors / seen.sent < 0.06,
      `${seen.serverErrors} of ${seen.sent} requests failed`,
    );
  } else {
    expect('no request failed', seen.serverErrors === 0, `${seen.serverErrors} of ${seen.sent}`);
  }
  return { startedMs, endedMs, failed: seen.serverErrors };
}

/** Waits for the alert that the bad release must have raised, and for its end. */
export async function watchAlert(
  shop: Shop,
  observer: Observer,
  { startedMs, endedMs }: Release,
  { expect }: StepContext,
): Promise<void> {
  const fired = await until(() => observer.alertsFired(startedMs).length > 0, 10_000);
  const [alert] = observer.alertsFired(startedMs);
  const last = (): AlertSpan | undefined => observer.alertsFired(startedMs).at(-1);
  expect(
    'an alert fired while the bad version took requests',
    fired && (alert?.firedMs ?? 0) <= endedMs + 2_000,
    alert === undefined
      ? 'none'
      : `${alert.summary}, ${(((alert.firedMs ?? 0) - startedMs) / 1_000).toFixed(1)} s after the release began`,
  );
  const resolved = await until(
    () => observer.alertsFired(startedMs).every(({ resolvedMs }) => resolvedMs !== undefined),
    20_000,
  );
  const overMs = (last()?.resolvedMs ?? Number.NaN) - endedMs;
  expect(
    'with the bad version gone, it is over',
    resolved && shop.monitoring.alerts().every(({ state }) => state !== 'firing'),
    resolved
      ? `${Math.abs(overMs / 1_000).toFixed(1)} s ${overMs < 0 ? 'before' : 'after'} the rollback`
      : 'still firing',
  );
  const delivered = shop.monitoring.stats();
  expect(
    'whoever is on call was told, and no notification was lost',
    delivered.notificationsSent > 0 && delivered.notificationsFailed === 0,
    `${delivered.notificationsSent} sent, ${delivered.notificationsFailed} failed`,
  );
}

/** A rollback ends a deploy with an error that carries the result. */
async function deployed(run: () => Promise<OrchestrationResult>): Promise<OrchestrationResult> {
  try {
    return await run();
  } catch (error) {
    if (MnopsError.is(error) && error.details?.['result'] !== undefined)
      return error.details['result'] as OrchestrationResult;
    throw error;
  }
}

async function proxyFailures(shop: Shop): Promise<number> {
  const { requests } = await shop.orchestration.stats();
  return requests.failed;
}
