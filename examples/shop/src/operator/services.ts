import { join } from 'node:path';
import type { ServiceConfig } from '@mnops/orchestration';
import type { ShopFolder } from './shop-folder.js';

/** What the descriptions of the services depend on. */
export interface ServiceSetting {
  /** Folder of the built service programs. */
  readonly programs: string;
  readonly folder: ShopFolder;
  /** Where services send their spans. */
  readonly tracesUrl: string;
}

const readiness = { http: { path: '/ready' }, everyMs: 250, timeoutMs: 2_000, failures: 2 };

function service(
  setting: ServiceSetting,
  name: string,
  more: {
    replicas: number;
    version?: string;
    environment: Record<string, string>;
    dependsOn?: Record<string, 'ready'>;
  },
): ServiceConfig {
  const { version = '1.0.0', replicas, environment, dependsOn } = more;
  return {
    name,
    version,
    replicas,
    ports: [{ name: 'http' }],
    containers: [
      {
        command: [process.execPath, '--enable-source-maps', join(setting.programs, `${name}.js`)],
        environment: { SHOP_TRACES_URL: setting.tracesUrl, ...environment },
        probes: { readiness },
      },
    ],
    ...(dependsOn === undefined ? {} : { dependsOn }),
  };
}

/** The orders service, on a folder of its data. */
export function ordersService(setting: ServiceSetting, data: string = setting.folder.orders): ServiceConfig {
  const { vault, vaultKey } = setting.folder;
  return service(setting, 'orders', {
    replicas: 1,
    environment: { SHOP_ORDERS_FOLDER: data, SHOP_VAULT: vault, SHOP_VAULT_KEY: vaultKey },
  });
}

/** The catalog; version 2 brings discounts, which work or do not. */
export function catalogService(setting: ServiceSetting, release?: 'good' | 'faulty'): ServiceConfig {
  const { vault, vaultKey } = setting.folder;
  return service(setting, 'catalog', {
    replicas: 2,
    version: release === undefined ? '1.0.0' : '2.0.0',
    environment: {
      ORDERS_URL: '${service:orders.url}',
      SHOP_VAULT: vault,
      SHOP_VAULT_KEY: vaultKey,
      SHOP_DISCOUNTS: release === undefined ? 'off' : release === 'good' ? 'on' : 'faulty',
    },
    dependsOn: { orders: 'ready' },
  });
}

/** The gateway, which clients talk to. */
export function gatewayService(setting: ServiceSetting): ServiceConfig {
  return service(setting, 'gateway', {
    replicas: 2,
    environment: { CATALOG_URL: '${service:catalog.url}' },
    dependsOn: { catalog: 'ready' },
  });
}
