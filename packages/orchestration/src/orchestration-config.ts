import { type AuditOptions, auditSchema } from '@mnops/core/audit';
import { clockSchema, metricSourcesSchema, secretsSchema, textSchema } from '@mnops/core/config';
import type { Clock, MetricSource, OrchestrationProvider, SecretResolver } from '@mnops/core/spi';
import * as v from 'valibot';

/** What a `ContainerOrchestrationManager` is made with. */
export interface OrchestrationConfig {
  /** Where services run. Default: `local()`, processes of this machine. */
  readonly provider?: OrchestrationProvider | undefined;
  /** Name of the set of services. Default `default`. */
  readonly app?: string | undefined;
  /** Resolves `secret://` references in environments. */
  readonly secrets?: SecretResolver | undefined;
  /** Further metric sources for analyses, by name. `proxy` is built in. */
  readonly metricSources?: Readonly<Record<string, MetricSource>> | undefined;
  /** Where it is recorded who changed what; `false` for nowhere. Default: the last 1,000 records, in memory. */
  readonly audit?: AuditOptions | false | undefined;
  /** Who changes things, in audit records. Default `application`. */
  readonly actor?: string | undefined;
  /** Stop in order when the process gets a signal to end. Default false. */
  readonly processHooks?: boolean | undefined;
  readonly clock?: Clock | undefined;
}

/** An orchestration provider opens with a context of its own, so it is known by its fields. */
const orchestrationProviderSchema = v.custom<OrchestrationProvider>((value) => {
  if (typeof value !== 'object' || value === null) return false;
  const { specVersion, kind, open, observe } = value as Partial<OrchestrationProvider>;
  return (
    specVersion === 1 &&
    kind === 'orchestration-provider' &&
    typeof open === 'function' &&
    typeof observe === 'function'
  );
}, 'a provider of kind orchestration-provider');

export const configSchema: v.GenericSchema<OrchestrationConfig> = v.strictObject({
  provider: v.optional(orchestrationProviderSchema),
  app: v.optional(textSchema),
  secrets: v.optional(secretsSchema),
  metricSources: v.optional(metricSourcesSchema),
  audit: v.optional(auditSchema),
  actor: v.optional(textSchema),
  processHooks: v.optional(v.boolean()),
  clock: v.optional(clockSchema),
}) as v.GenericSchema<OrchestrationConfig>;
