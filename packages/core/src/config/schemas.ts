import * as v from 'valibot';
import type { Clock, Credential, ServiceIdentity, Spi, SpiKind } from '../spi/base.js';
import type { HealthSource } from '../spi/health-source.js';
import type { Lease } from '../spi/lease.js';
import type { LabelMatch, MetricReduction, MetricSource } from '../spi/metric-source.js';
import type { Notifier } from '../spi/notifier.js';
import type { ObjectStore } from '../spi/object-store.js';
import type { SecretResolver } from '../spi/secret-resolver.js';

/** A non-empty text. */
export const textSchema: v.GenericSchema<string> = v.pipe(v.string(), v.nonEmpty());

/** Milliseconds, finite and not negative. */
export const durationMsSchema: v.GenericSchema<number> = v.pipe(v.number(), v.finite(), v.minValue(0));

/** A whole number of at least 1, for counts and sizes. */
export const countSchema: v.GenericSchema<number> = v.pipe(v.number(), v.safeInteger(), v.minValue(1));

/** A function. */
export const functionSchema: v.GenericSchema<(...values: never[]) => unknown> = v.custom(
  (value) => typeof value === 'function',
  'a function',
);

/** The `service` option of every host: a name, or what is known of the service. */
export const serviceSchema: v.GenericSchema<string | Partial<ServiceIdentity>> = v.union([
  textSchema,
  v.strictObject({
    name: v.optional(textSchema),
    namespace: v.optional(textSchema),
    version: v.optional(textSchema),
    environment: v.optional(textSchema),
    instance: v.optional(textSchema),
    revision: v.optional(textSchema),
    attributes: v.optional(v.record(v.string(), v.string())),
  }),
]) as v.GenericSchema<string | Partial<ServiceIdentity>>;

/** The `clock` option of every host. */
export const clockSchema: v.GenericSchema<Clock> = v.custom<Clock>(
  (value) => hasMethods(value, ['now', 'monotonic', 'sleep', 'setTimer']),
  'a clock with now, monotonic, sleep and setTimer',
);

/** An abort signal. */
export const signalSchema: v.GenericSchema<AbortSignal> = v.custom<AbortSignal>(
  (value) => hasMethods(value, ['addEventListener', 'throwIfAborted']),
  'an AbortSignal',
);

/** A credential: text, or a function that yields it. */
export const credentialSchema: v.GenericSchema<Credential> = v.union(
  [textSchema, v.custom<() => string | Promise<string>>((value) => typeof value === 'function', 'text or a function')],
  'text or a function that returns it',
);

/** The `secrets` option of every host. */
export const secretsSchema: v.GenericSchema<SecretResolver> = providerSchema<SecretResolver>('secret-resolver', [
  'resolve',
]);

/** The `lease` option of a host. */
export const leaseSchema: v.GenericSchema<Lease> = providerSchema<Lease>('lease', ['acquire']);

/** The `objectStore` option of a host. */
export const objectStoreSchema: v.GenericSchema<ObjectStore> = providerSchema<ObjectStore>('object-store', [
  'get',
  'head',
  'put',
  'list',
  'delete',
]);

/** The `notifiers` option of a host. */
export const notifiersSchema: v.GenericSchema<readonly Notifier[]> = v.array(
  providerSchema<Notifier>('notifier', ['send']),
);

/** How a metric selection makes one number of its samples. */
export const metricReductionSchema: v.GenericSchema<MetricReduction> = v.union([
  v.picklist(['rate', 'increase', 'count', 'sum', 'mean', 'last', 'max', 'min']),
  v.strictObject({ quantile: v.pipe(v.number(), v.minValue(0), v.maxValue(1)) }),
]);

/** Condition of a metric selection on one label. */
export const labelMatchSchema: v.GenericSchema<LabelMatch> = v.union([
  v.string(),
  v.strictObject({ not: v.string() }),
  v.strictObject({ oneOf: v.array(v.string()) }),
]);

/** The `metricSources` option of a host: sources by name. */
export const metricSourcesSchema: v.GenericSchema<Record<string, MetricSource>> = v.record(
  v.string(),
  providerSchema<MetricSource>('metric-source', ['query']),
);

/** The `healthSources` option of a host: sources by name. */
export const healthSourcesSchema: v.GenericSchema<Record<string, HealthSource>> = v.record(
  v.string(),
  providerSchema<HealthSource>('health-source', ['check']),
);

/** A provider of one kind, known by its `specVersion`, `kind`, `id` and methods; the object itself is passed through. */
export function providerSchema<T extends Spi<SpiKind>>(
  kind: T['kind'],
  methods: readonly string[],
): v.GenericSchema<T> {
  return v.custom<T>((value) => {
    if (!hasMethods(value, methods)) return false;
    const { specVersion, kind: given, id } = value as Partial<Spi<SpiKind>>;
    return specVersion === 1 && given === kind && typeof id === 'string' && id !== '';
  }, `a provider of kind ${kind}`);
}

function hasMethods(value: unknown, methods: readonly string[]): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return methods.every((method) => typeof (value as Record<string, unknown>)[method] === 'function');
}
