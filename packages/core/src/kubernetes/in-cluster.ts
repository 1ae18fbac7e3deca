import { join } from 'node:path';
import type { ClusterAccess, InClusterAccess } from './types.js';

const defaultFolder = '/var/run/secrets/kubernetes.io/serviceaccount';

/** The access of a Pod's service account: its files, read again as the kubelet renews them. */
export function inClusterAccess(options: InClusterAccess): ClusterAccess {
  const { host = 'kubernetes.default.svc', port = 443, folder = defaultFolder } = options.inCluster;
  const name = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
  return {
    namespace: options.namespace,
    server: `https://${name}:${port}`,
    caFile: join(folder, 'ca.crt'),
    tokenFile: join(folder, 'token'),
    namespaceFile: join(folder, 'namespace'),
  };
}
