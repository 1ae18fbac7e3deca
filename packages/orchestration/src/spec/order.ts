import { configError } from '@mnops/core/config';
import type { ServiceConfig } from '@mnops/core/spi';

/**
 * The services in layers: each layer depends only on earlier ones and on services that are known already.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for a service that depends on itself over others, or on an unknown one.
 */
export function inDependencyOrder(
  services: readonly ServiceConfig[],
  known: ReadonlySet<string> = new Set(),
): readonly (readonly ServiceConfig[])[] {
  const here = new Map(services.map((service) => [service.name, service]));
  for (const { name, dependsOn = {} } of services) {
    for (const other of Object.keys(dependsOn)) {
      if (here.has(other) || known.has(other)) continue;
      throw configError(`service ${name}`, [
        {
          field: `dependsOn.${other}`,
          expected: 'a service that is deployed with it or before',
          received: 'an unknown service',
          remedy: `Deploy ${other} too, or remove the dependency.`,
        },
      ]);
    }
  }
  const layers: ServiceConfig[][] = [];
  const placed = new Set<string>();
  while (placed.size < services.length) {
    const layer = services.filter(
      ({ name, dependsOn = {} }) =>
        !placed.has(name) && Object.keys(dependsOn).every((other) => !here.has(other) || placed.has(other)),
    );
    if (layer.length === 0) {
      const circle = services.map(({ name }) => name).filter((name) => !placed.has(name));
      throw configError('services', [
        {
          field: 'dependsOn',
          expected: 'no circle',
          received: 'a circle',
          remedy: `Remove one dependency among ${circle.join(', ')}.`,
        },
      ]);
    }
    for (const { name } of layer) placed.add(name);
    layers.push(layer);
  }
  return layers;
}
