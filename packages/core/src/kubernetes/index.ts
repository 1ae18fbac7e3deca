export { inClusterAccess } from './in-cluster.js';
export { kubernetesClient } from './kubernetes-client.js';
export type {
  ClusterAccess,
  ExecPlugin,
  InClusterAccess,
  JsonPatchStep,
  KubeconfigAccess,
  KubernetesClient,
  KubernetesClientOptions,
  KubernetesDeleteOptions,
  KubernetesInput,
  KubernetesList,
  KubernetesMetadata,
  KubernetesName,
  KubernetesObject,
  KubernetesResource,
  KubernetesSelection,
  KubernetesWatchEvent,
  KubernetesWatchOptions,
  KubernetesWriteOptions,
} from './types.js';
