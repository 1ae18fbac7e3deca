const pattern = /\$\{([^}]*)\}/g;
const serviceReference = /^service:([a-z0-9-]+)\.(url|host|port)$/;

/** One `${service:name.part}` in an environment value. */
export interface ServiceReference {
  readonly service: string;
  readonly part: 'url' | 'host' | 'port';
}

/** Services that an environment value speaks of. A `${…}` that is no service reference stays as it is. */
export function serviceReferences(value: string): readonly ServiceReference[] {
  return [...value.matchAll(pattern)].flatMap(([, inner]) => {
    const match = serviceReference.exec(inner ?? '');
    return match === null ? [] : [{ service: match[1]!, part: match[2] as ServiceReference['part'] }];
  });
}

/** The value with each service reference replaced. */
export function resolveReferences(value: string, resolve: (reference: ServiceReference) => string): string {
  return value.replace(pattern, (whole, inner: string) => {
    const match = serviceReference.exec(inner);
    return match === null ? whole : resolve({ service: match[1]!, part: match[2] as ServiceReference['part'] });
  });
}
