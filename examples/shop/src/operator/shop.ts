import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { PerformanceMonitoringManager } from '@mnops/apm';
import { otlpHandler } from '@mnops/apm/otlp';
import { keyFile } from '@mnops/core/crypto';
import { DisasterRecoveryManager, files } from '@mnops/dr';
import { LogAggregationManager } from '@mnops/logging';
import { MonitoringStackManager, type RuleGroup } from '@mnops/monitoring';
import type { ContainerOrchestrationManager } from '@mnops/orchestration';
import { encryptedFile, SecretsManager } from '@mnops/secrets';
import { LoadMonitor } from '../load/load-monitor.js';
import { credentialRotator } from './credential-rotator.js';
import { onCallLog } from './on-call.js';
import type { ServiceSetting } from './services.js';
import { orchestrator, prepareFolder, type ShopFolder } from './shop-folder.js';

/** The credential that catalog shows to orders. */
export const credentialPath = 'shop/orders-credential';

/** Requests fail: judged on the figures of the proxy, so on what callers of the catalog saw. */
const rules: readonly RuleGroup[] = [
  {
    name: 'shop',
    interval: '500ms',
    rules: [
      {
        alert: 'CatalogErrors',
        source: 'proxy',
        query: {
          ratio: {
            part: {
              metric: 'http_server_request_duration_seconds',
              reduce: 'count',
              windowMs: 5_000,
              match: { service: 'catalog', status_class: '5xx' },
              by: ['service'],
            },
            whole: {
              metric: 'http_server_request_duration_seconds',
              reduce: 'count',
              windowMs: 5_000,
              match: { service: 'catalog' },
              by: ['service'],
            },
          },
        },
        above: 0.003,
        for: '1s',
        labels: { severity: 'critical' },
        annotations: { summary: '{{ $value | humanizePercentage }} of the requests to {{ $labels.service }} fail' },
      },
    ],
  },
];

/** Every host of the operator, joined: this is where the packages meet. */
export interface Shop {
  readonly folder: ShopFolder;
  readonly secrets: SecretsManager;
  readonly logs: LogAggregationManager;
  readonly apm: PerformanceMonitoringManager;
  readonly orchestration: ContainerOrchestrationManager;
  readonly monitoring: MonitoringStackManager;
  readonly recovery: DisasterRecoveryManager;
  readonly load: LoadMonitor;
  readonly setting: ServiceSetting;
  /** Address of a service behind the proxy. */
  url(service: string): Promise<string>;
  /** Ends everything, services included. */
  close(): Promise<void>;
}

/** Opens all hosts on a fresh folder. Nothing is deployed yet. */
export async function openShop(folder: ShopFolder, programs: string): Promise<Shop> {
  await prepareFolder(folder);
  const passphraseFile = join(dirname(folder.vaultKey), 'backup.passphrase');
  const passphrase = randomBytes(24).toString('base64url');
  await writeFile(passphraseFile, passphrase, { mode: 0o600 });

  const orchestration = orchestrator(folder);
  const addresses = new Map<string, string>();
  const secrets = new SecretsManager({
    service: 'operator',
    folder: folder.secrets,
    provider: encryptedFile({ file: folder.vault, key: keyFile({ file: folder.vaultKey, create: true }) }),
    rotations: {
      [credentialPath]: { rotator: credentialRotator(() => addresses.get('orders') ?? ''), graceMs: 2_000 },
    },
  });
  const logs = new LogAggregationManager({ service: 'operator', folder: folder.logs, sinks: [] });
  const apm = new PerformanceMonitoringManager({
    service: 'operator',
    registerGlobals: false,
    store: { maxTraces: 30_000, maxBytes: 256 * 1_024 * 1_024 },
    // A story of a minute needs buckets of a second. Latency counts from 40 ms more on: laptops are noisy.
    analysis: {
      bucketMs: 1_000,
      settleMs: 2_500,
      anomalies: {
        signals: ['duration', 'errors'],
        minDurationMs: 4_000,
        minSamples: 200,
        minIncreaseMs: 40,
        cooldownMs: 10_000,
      },
    },
  });
  const monitoring = new MonitoringStackManager({
    service: 'operator',
    rules,
    notifiers: [onCallLog(logs)],
    metricSources: { proxy: orchestration.metricSource, traces: apm.metricSource },
  });
  const recovery = new DisasterRecoveryManager({
    service: 'shop',
    key: () => passphrase,
    folder: folder.recovery,
    sources: [files(folder.orders, { id: 'orders' }), secrets.recoverable, logs.recoverable],
    notifiers: [monitoring.notifier],
    tier: 1,
  });
  const receiver = await listen(createServer(otlpHandler(apm)));
  await Promise.all([secrets.start(), logs.start(), apm.start(), monitoring.start(), orchestration.start()]);
  await recovery.start();
  if (orchestration.logSource !== undefined) logs.collect(orchestration.logSource);
  await secrets.create(credentialPath, randomBytes(24).toString('base64url'));

  const load = new LoadMonitor(join(programs, 'load.js'));
  const port = (receiver.address() as AddressInfo).port;
  return {
    folder,
    secrets,
    logs,
    apm,
    orchestration,
    monitoring,
    recovery,
    load,
    setting: { programs, folder, tracesUrl: `http://127.0.0.1:${port}/v1/traces` },
    url: async (service) => {
      const url = (await orchestration.inspect(service))?.address?.url;
      if (url === undefined) throw new Error(`The service ${service} has no address.`);
      addresses.set(service, url);
      return url;
    },
    close: async () => {
      load.kill();
      await recovery.stop({ graceMs: 2_000 });
      await removeServices(orchestration);
      await monitoring.stop({ graceMs: 1_000 });
      await Promise.all([orchestration.stop(), logs.stop(), apm.stop(), secrets.stop()]);
      receiver.closeAllConnections();
      await new Promise((resolve) => receiver.close(resolve));
    },
  };
}

async function removeServices(orchestration: ContainerOrchestrationManager): Promise<void> {
  const names: string[] = [];
  for await (const { name } of orchestration.list()) names.push(name);
  // Callers first, so that nobody calls what is gone.
  for (const name of ['gateway', 'catalog', 'orders'].filter((one) => names.includes(one))) {
    await orchestration.remove(name);
  }
}

async function listen(server: Server): Promise<Server> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return server;
}
