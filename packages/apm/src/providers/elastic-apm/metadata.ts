import { arch, hostname, platform } from 'node:os';
import type { SpanAttributes } from '@mnops/core/spi';
import { cut, named, textOf, wellFormed } from '../../encoding/plain-text.js';
import { packageVersion } from '../../package-version.js';

const maxKeyword = 1_024;
const agentName = 'mnops';

// Facts of OpenTelemetry's resource with a place of their own (intake v2, metadata.json).
const systemPlaces: readonly Place[] = [
  ['container.id', 'container', 'id'],
  ['k8s.namespace.name', 'kubernetes', 'namespace'],
  ['k8s.node.name', 'kubernetes', 'node', 'name'],
  ['k8s.pod.name', 'kubernetes', 'pod', 'name'],
  ['k8s.pod.uid', 'kubernetes', 'pod', 'uid'],
];
// The server refuses them without a provider.
const cloudPlaces: readonly Place[] = [
  ['cloud.provider', 'provider'],
  ['cloud.account.id', 'account', 'id'],
  ['cloud.region', 'region'],
  ['cloud.availability_zone', 'availability_zone'],
  ['cloud.platform', 'service', 'name'],
  ['host.id', 'instance', 'id'],
  ['host.type', 'machine', 'type'],
];

type Place = readonly [attribute: string, ...path: string[]];
interface Nested {
  [key: string]: string | Nested;
}

/** The facts that are there, each at its place. */
function nested(resource: SpanAttributes, places: readonly Place[]): Nested {
  const facts: Nested = {};
  for (const [attribute, ...path] of places) {
    const value = named(resource[attribute]);
    if (value === undefined) continue;
    let at = facts;
    for (const key of path.slice(0, -1)) {
      const inner = at[key];
      const next: Nested = typeof inner === 'object' ? inner : {};
      at[key] = next;
      at = next;
    }
    at[path.at(-1) ?? ''] = cut(value, maxKeyword);
  }
  return facts;
}

/** The first line of a request: the program that made the spans, its process and its machine. */
export function metadataOf(resource: SpanAttributes): object {
  const pid = Number(resource['process.pid'] ?? process.pid);
  const labels = labelsOf(resource);
  const cloud = named(resource['cloud.provider']) === undefined ? undefined : nested(resource, cloudPlaces);
  return {
    service: {
      ...serviceOf(resource),
      runtime: { name: 'node', version: process.versions.node },
    },
    process: { pid: Number.isSafeInteger(pid) ? pid : process.pid },
    system: {
      detected_hostname: cut(named(resource['host.name']) ?? hostname(), maxKeyword),
      architecture: arch(),
      platform: platform(),
      ...nested(resource, systemPlaces),
    },
    ...(cloud === undefined ? {} : { cloud }),
    ...(labels === undefined ? {} : { labels }),
  };
}

/** The program that made the spans. The server takes letters, digits, space, `_` and `-` in its name. */
export function serviceOf(resource: SpanAttributes): object {
  const name = (named(resource['service.name']) ?? 'unknown_service').replace(/[^a-zA-Z0-9 _-]/g, '_');
  const text = (key: string): string | undefined => {
    const value = named(resource[key]);
    return value === undefined ? undefined : cut(value, maxKeyword);
  };
  const version = text('service.version');
  const environment = text('deployment.environment.name') ?? text('deployment.environment');
  const instance = text('service.instance.id');
  return {
    name: cut(name, maxKeyword),
    agent: { name: agentName, version: packageVersion },
    language: { name: text('telemetry.sdk.language') ?? 'javascript' },
    ...(version === undefined ? {} : { version }),
    ...(environment === undefined ? {} : { environment }),
    ...(instance === undefined ? {} : { node: { configured_name: instance } }),
  };
}

/** Facts about the process that have no place of their own. */
function labelsOf(resource: SpanAttributes): object | undefined {
  const placed = new Set(systemPlaces.map(([attribute]) => attribute));
  if (named(resource['cloud.provider']) !== undefined) for (const [attribute] of cloudPlaces) placed.add(attribute);
  const labels = Object.entries(resource)
    .filter(([key]) => !placed.has(key))
    .filter(([key]) => !/^(service\.|telemetry\.|process\.pid$|host\.name$|deployment\.environment)/.test(key))
    .map(([key, value]): [string, string | number | boolean] => {
      const kept = typeof value === 'boolean' || Number.isFinite(value) ? (value as number | boolean) : textOf(value);
      // The server would replace these itself, as the index behind it does not take them.
      return [wellFormed(key).replace(/[.*"]/g, '_'), typeof kept === 'string' ? cut(kept, maxKeyword) : kept];
    });
  return labels.length === 0 ? undefined : Object.fromEntries(labels);
}
