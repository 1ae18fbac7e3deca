import {
  type ConfigIssue,
  configError,
  countSchema,
  durationMsSchema,
  parseOptions,
  textSchema,
} from '@mnops/core/config';
import type { ServiceConfig } from '@mnops/core/spi';
import * as v from 'valibot';

const nameSchema = v.pipe(
  v.string(),
  v.regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'lower-case letters, digits and hyphens, at most 63'),
);

const commandSchema = v.pipe(
  v.array(v.string()),
  v.check(([program]) => program !== undefined && program !== '', 'a program and its arguments'),
);

const probeSchema = v.pipe(
  v.strictObject({
    http: v.optional(
      v.strictObject({
        path: v.pipe(v.string(), v.startsWith('/', 'a path that begins with /')),
        headers: v.optional(v.record(textSchema, v.string())),
      }),
    ),
    tcp: v.optional(v.literal(true)),
    exec: v.optional(commandSchema),
    logLine: v.optional(textSchema),
    initialDelayMs: v.optional(durationMsSchema),
    everyMs: v.optional(v.pipe(v.number(), v.minValue(10))),
    timeoutMs: v.optional(v.pipe(v.number(), v.minValue(1))),
    successes: v.optional(countSchema),
    failures: v.optional(countSchema),
  }),
  v.check(
    ({ http, tcp, exec, logLine }) => [http, tcp, exec, logLine].filter((kind) => kind !== undefined).length === 1,
    'exactly one of http, tcp, exec, logLine',
  ),
);

const containerSchema = v.strictObject({
  name: v.optional(textSchema),
  command: commandSchema,
  args: v.optional(v.array(v.string())),
  workingDirectory: v.optional(textSchema),
  environment: v.optional(v.record(textSchema, v.string())),
  probes: v.optional(
    v.strictObject({
      startup: v.optional(probeSchema),
      readiness: v.optional(probeSchema),
      liveness: v.optional(probeSchema),
    }),
  ),
});

const portSchema = v.strictObject({
  name: textSchema,
  port: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535))),
});

const serviceSchema = v.strictObject({
  name: nameSchema,
  version: v.optional(textSchema),
  replicas: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(1_000))),
  containers: v.pipe(v.array(containerSchema), v.minLength(1)),
  ports: v.optional(v.pipe(v.array(portSchema), v.maxLength(1, 'at most one port'))),
  dependsOn: v.optional(v.record(nameSchema, v.picklist(['started', 'ready']))),
  drainMs: v.optional(durationMsSchema),
  stopGraceMs: v.optional(durationMsSchema),
  labels: v.optional(v.record(textSchema, v.string())),
});

const maxServices = 1_000;
const toldVariables = ['PORT', 'HOST', 'MNOPS_SERVICE', 'MNOPS_VERSION', 'MNOPS_INSTANCE', 'MNOPS_REVISION'];

/**
 * The descriptions, checked one by one and together.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` with every issue in `details.issues`.
 */
export function parseServices(input: unknown): readonly ServiceConfig[] {
  const services = (Array.isArray(input) ? input : [input]).map((one) => {
    const name = typeof one?.name === 'string' ? `service ${one.name.slice(0, 63)}` : 'a service';
    const parsed = parseOptions(name, serviceSchema, one);
    const issues = variableIssues(parsed as ServiceConfig);
    if (issues.length > 0) throw configError(name, issues);
    return parsed as ServiceConfig;
  });
  const names = new Set<string>();
  const issues: ConfigIssue[] = [];
  for (const { name } of services) {
    if (names.has(name)) issues.push(issue('name', `one description of ${name}`, 'two', 'Remove one of them.'));
    names.add(name);
  }
  if (services.length > maxServices) {
    issues.push(issue('', `at most ${maxServices} services`, `${services.length}`, 'Deploy them in parts.'));
  }
  if (issues.length > 0) throw configError('services', issues);
  return services;
}

function issue(field: string, expected: string, received: string, remedy: string): ConfigIssue {
  return { field, expected, received, remedy };
}

function variableIssues(service: ServiceConfig): ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  for (const [index, { environment = {} }] of service.containers.entries()) {
    for (const name of Object.keys(environment)) {
      const field = `containers.${index}.environment.${name}`;
      if (toldVariables.includes(name)) {
        issues.push(issue(field, 'no such variable', 'a reserved name', 'Remove it: every instance is told its own.'));
      } else if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
        issues.push(issue(field, 'letters, digits and underscores', 'another name', 'Rename the variable.'));
      }
    }
  }
  return issues;
}
