import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kubernetesFake } from '@mnops/core/testing';

const cluster = await kubernetesFake();
const folder = await mkdtemp(join(tmpdir(), 'mnops-snippet-'));
const environment = { KUBECONFIG: join(folder, 'config') };
const config = {
  'current-context': 'a',
  contexts: [{ name: 'a', context: { cluster: 'a', namespace: 'shop' } }],
  clusters: [{ name: 'a', cluster: { server: cluster.url } }],
};
await writeFile(environment.KUBECONFIG, JSON.stringify(config));

// #region kubernetes
import { callOf } from '@mnops/core';
import { clusterAccess } from '@mnops/core/config';
import { kubernetesClient } from '@mnops/core/kubernetes';

const access = clusterAccess(environment); // where kubectl would go; process.env unless given
const kubernetes = kubernetesClient({ access });
const configMaps = { apiVersion: 'v1', plural: 'configmaps', namespaced: true };
const call = callOf();

const map = { kind: 'ConfigMap', metadata: { name: 'settings' }, data: { colour: 'blue' } };
const { metadata } = await kubernetes.create(configMaps, map, {}, call);
for await (const event of kubernetes.watch(configMaps, {}, call)) {
  if (event.type !== 'listed') continue; // 'added', 'modified', 'deleted' follow until the call is aborted
  console.log(event.items.map((item) => item.metadata.name)); // [ 'settings' ]
  break;
}
await kubernetes.delete(configMaps, { name: 'settings' }, { resourceVersion: metadata.resourceVersion }, call);
await kubernetes.close();
// #endregion
assert.equal(cluster.collections.get('/api/v1/namespaces/shop/configmaps')?.size, 0);
await cluster.close();
await rm(folder, { recursive: true });
