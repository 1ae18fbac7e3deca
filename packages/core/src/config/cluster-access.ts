import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { InClusterAccess, KubeconfigAccess } from '../kubernetes/types.js';

/**
 * Where kubectl would go: the files that `KUBECONFIG` names, else the service account of the Pod that this runs in
 * (`KUBERNETES_SERVICE_HOST`, `KUBERNETES_SERVICE_PORT`), else `.kube/config` in the home folder.
 *
 * @param environment - Default `process.env`.
 * @returns What `kubernetesClient` takes as `access`. No file is read.
 */
export function clusterAccess(environment: NodeJS.ProcessEnv = process.env): KubeconfigAccess | InClusterAccess {
  const files = (environment['KUBECONFIG'] ?? '').split(delimiter).filter((file) => file !== '');
  if (files.length > 0) return { kubeconfig: files };
  const host = environment['KUBERNETES_SERVICE_HOST'] ?? '';
  if (host === '') return { kubeconfig: join(environment['HOME'] || homedir(), '.kube', 'config') };
  const port = Number(environment['KUBERNETES_SERVICE_PORT'] ?? '443');
  return { inCluster: { host, port } };
}
