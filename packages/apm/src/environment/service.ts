import type { ServiceIdentity } from '@mnops/core/spi';
import type { Variables } from './variables.js';

type Field = Exclude<keyof ServiceIdentity, 'attributes'>;

/** Where each field comes from: our own variable, attributes of the resource, then the vendors' variables. */
const sources: readonly (readonly [Field, own: string, attributes: readonly string[], vendors: readonly string[]])[] = [
  ['name', 'MNOPS_SERVICE', ['service.name'], ['DD_SERVICE', 'ELASTIC_APM_SERVICE_NAME', 'NEW_RELIC_APP_NAME']],
  ['namespace', '', ['service.namespace'], []],
  ['version', 'MNOPS_VERSION', ['service.version'], ['DD_VERSION', 'ELASTIC_APM_SERVICE_VERSION']],
  [
    'environment',
    'MNOPS_ENVIRONMENT',
    ['deployment.environment.name', 'deployment.environment'],
    ['DD_ENV', 'ELASTIC_APM_ENVIRONMENT'],
  ],
  ['instance', 'MNOPS_INSTANCE', ['service.instance.id'], ['ELASTIC_APM_SERVICE_NODE_NAME']],
];
const longest = 255;

/** Who the program is, by its variables; what is not set is left to the manager. */
export function serviceFrom(variables: Variables): Partial<ServiceIdentity> {
  const attributes = new Map([
    ...variables.labels('NEW_RELIC_LABELS', /;/, ':'),
    ...variables.labels('ELASTIC_APM_GLOBAL_LABELS', /,/, '='),
    ...variables.labels('DD_TAGS', /[,\s]+/, ':'),
    ...variables.pairs('OTEL_RESOURCE_ATTRIBUTES'),
  ]);
  const found: Partial<Record<Field, string>> = {};
  for (const [field, own, names, vendors] of sources) {
    const said =
      variables.text(own) ??
      (field === 'name' ? variables.text('OTEL_SERVICE_NAME') : undefined) ??
      names.map((name) => attributes.get(name)).find((value) => value !== undefined && value !== '') ??
      // New Relic takes several names; the first is the application's.
      variables.text(...vendors)?.split(';', 1)[0];
    for (const name of names) attributes.delete(name);
    if (said === undefined || said === '') continue;
    if (said.length <= longest) found[field] = said;
    else {
      const from = [own, ...(field === 'name' ? ['OTEL_SERVICE_NAME'] : []), 'OTEL_RESOURCE_ATTRIBUTES', ...vendors];
      const set = from.find((name) => variables.has(name));
      variables.say(
        `${set}: the ${field} of the service has more than ${longest} characters; it is ignored. Shorten it.`,
      );
    }
  }
  return { ...found, ...(attributes.size > 0 ? { attributes: Object.fromEntries(attributes) } : {}) };
}
