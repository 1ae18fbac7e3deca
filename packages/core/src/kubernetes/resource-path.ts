import { coreError } from '../errors/core-error.js';
import { resourceUrl } from '../http/index.js';
import type { KubernetesResource } from './types.js';

/** Address of a collection, or of one object in it. Every part is checked and encoded. */
export function resourcePath(
  server: string,
  resource: KubernetesResource,
  at: {
    readonly namespace?: string | undefined;
    readonly name?: string | undefined;
    readonly subresource?: string | undefined;
  },
): URL {
  const { apiVersion, plural, namespaced } = resource;
  const [group, version, ...more] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion];
  if (more.length > 0 || version === undefined || !/^v[0-9a-z]+$/.test(version) || !/^[a-z0-9.-]*$/.test(group ?? '')) {
    throw invalid('apiVersion', 'v1, or a group and a version such as apps/v1');
  }
  if (!/^[a-z][a-z0-9-]*$/.test(plural)) throw invalid('plural', 'the plural in lower case, such as secrets');
  const root = group === '' || group === undefined ? ['api', version] : ['apis', group, version];
  const space = namespaced && at.namespace !== undefined ? ['namespaces', checkedNamespace(at.namespace)] : [];
  const object = at.name === undefined ? [] : [checkedName(at.name)];
  const below = at.subresource === undefined ? [] : [checkedSubresource(at.subresource)];
  return resourceUrl(server, ...root, ...space, plural, ...object, ...below);
}

/** A namespace is a DNS label. */
export function checkedNamespace(namespace: string): string {
  if (/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(namespace)) return namespace;
  throw invalid('namespace', 'a DNS label: letters in lower case, digits and -, at most 63');
}

/** What the server takes as part of an address, for every kind; kinds that want less say so themselves. */
function checkedName(name: string): string {
  if (name !== '' && name !== '.' && name !== '..' && name.length <= 253 && !/[/%\p{Cc}]/u.test(name)) return name;
  throw invalid('name', 'a name of at most 253 characters without / and %');
}

function checkedSubresource(subresource: string): string {
  if (/^[a-z]+$/.test(subresource)) return subresource;
  throw invalid('subresource', 'a word such as status or scale');
}

function invalid(field: string, expected: string): Error {
  const remedy = `Change \`${field}\`.`;
  return coreError('MNOPS_CORE_CONFIG_INVALID', `kubernetes: ${field} must be ${expected}.`, {
    provider: 'kubernetes',
    remedy,
    details: { issues: [{ field, expected, received: 'another value', remedy }] },
  });
}
