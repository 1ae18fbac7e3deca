import { join, resolve } from 'node:path';
import { type AuditOptions, auditSchema } from '@mnops/core/audit';
import {
  clockSchema,
  configError,
  credentialSchema,
  durationMsSchema,
  notifiersSchema,
  parseOptions,
  secretsSchema,
  serviceIdentity,
  serviceSchema,
  textSchema,
} from '@mnops/core/config';
import { type Schedule, scheduleSchema } from '@mnops/core/schedule';
import type { Clock, Credential, Notifier, Recoverable, SecretResolver, ServiceIdentity } from '@mnops/core/spi';
import * as v from 'valibot';
import { objectiveOf, type RecoveryObjective, type RecoveryTier } from './recovery/tiers.js';

/** What a disaster recovery manager protects, and where it keeps it. */
export interface DisasterRecoveryConfig {
  /** Who the data belongs to. Unset fields come from `MNOPS_SERVICE` and its kin. */
  readonly service?: string | Partial<ServiceIdentity> | undefined;
  /** Passphrase of the repository. It is never made up: whoever loses it loses the backups. */
  readonly key: Credential;
  /** What is backed up: 0 to 256 sources with different ids. A manager without sources restores and validates. */
  readonly sources: readonly Recoverable[];
  /** Folder for evidence, drills and, without `repository`, the repository. Default `.mnops/dr` where no repository folder is given, else none. */
  readonly folder?: string | undefined;
  /** Where the backups are. */
  readonly repository?: RepositorySettings | undefined;
  /** Objectives: 1 = 15 min RTO and 5 min RPO, 2 = 1 h and 15 min, 3 = 4 h and 1 h, 4 = 24 h and 4 h. Default: none. */
  readonly tier?: RecoveryTier | undefined;
  /** Overrides the tier's RTO, milliseconds. */
  readonly rtoMs?: number | undefined;
  /** Overrides the tier's RPO, milliseconds. */
  readonly rpoMs?: number | undefined;
  /** When backups and validations run by themselves, from `start` on. Default: never. A missed backup is made up once. */
  readonly schedule?: RecoverySchedule | undefined;
  /** Resolves `secret://` references in `key`. */
  readonly secrets?: SecretResolver | undefined;
  /** Told about failed backups, failed drills and damage. */
  readonly notifiers?: readonly Notifier[] | undefined;
  /** Where evidence goes. Default: `audit` in `folder`, or memory where there is no folder. `false`: nowhere. */
  readonly audit?: AuditOptions | false | undefined;
  readonly clock?: Clock | undefined;
}

/** Where a repository is and how it is written. */
export interface RepositorySettings {
  /** Folder of the repository, made when it is absent. Default: `repository` in `folder`. */
  readonly folder?: string | undefined;
  /** `auto` compresses where this Node has zstd (22.15 and later). Default `auto`. */
  readonly compression?: 'auto' | 'off' | undefined;
}

/** What runs by itself, such as `{ backup: 'hourly', validate: { cron: '0 3 * * 0', timeZone: 'Europe/Berlin' } }`. */
export interface RecoverySchedule {
  readonly backup?: Schedule | undefined;
  /** A validation of every byte. */
  readonly validate?: Schedule | undefined;
}

/** The configuration with its defaults. */
export interface ResolvedConfig {
  readonly service: ServiceIdentity;
  readonly key: Credential;
  readonly sources: ReadonlyMap<string, Recoverable>;
  readonly folder: string | undefined;
  readonly repositoryFolder: string;
  /** Folders of this manager that no backup takes in: the repository and what drills restore. */
  readonly ownFolders: readonly string[];
  readonly compression: boolean;
  readonly objective: RecoveryObjective;
  readonly schedule: RecoverySchedule;
  readonly secrets: SecretResolver | undefined;
  readonly notifiers: readonly Notifier[];
  readonly audit: AuditOptions | false;
  readonly clock: Clock | undefined;
}

const recoverableSchema = v.custom<Recoverable>((value) => {
  const source = value as Partial<Recoverable> | null | undefined;
  return source?.kind === 'recoverable' && typeof source.snapshot === 'function';
}, 'a Recoverable, such as files(folder)');

const configSchema = v.strictObject({
  service: v.optional(serviceSchema),
  key: credentialSchema,
  sources: v.pipe(v.array(recoverableSchema), v.maxLength(256)),
  folder: v.optional(textSchema),
  repository: v.optional(
    v.strictObject({ folder: v.optional(textSchema), compression: v.optional(v.picklist(['auto', 'off'])) }),
  ),
  tier: v.optional(v.picklist([1, 2, 3, 4])),
  rtoMs: v.optional(durationMsSchema),
  rpoMs: v.optional(durationMsSchema),
  schedule: v.optional(v.strictObject({ backup: v.optional(scheduleSchema), validate: v.optional(scheduleSchema) })),
  secrets: v.optional(secretsSchema),
  notifiers: v.optional(notifiersSchema),
  audit: v.optional(auditSchema),
  clock: v.optional(clockSchema),
});

/** Checks the configuration and fills in what it leaves open. No I/O. */
export function resolveConfig(config: DisasterRecoveryConfig): ResolvedConfig {
  parseOptions('DisasterRecoveryManager', configSchema, config);
  const {
    service,
    key,
    sources,
    repository = {},
    tier,
    rtoMs,
    rpoMs,
    secrets,
    notifiers = [],
    clock,
    schedule = {},
  } = config;
  const folder = config.folder ?? (repository.folder === undefined ? join('.mnops', 'dr') : undefined);
  const repositoryFolder = resolve(repository.folder ?? join(folder ?? '', 'repository'));
  const audit = config.audit ?? (folder === undefined ? {} : { folder: resolve(folder, 'audit') });
  return {
    service: serviceIdentity(service),
    key,
    sources: byId(sources),
    folder: folder === undefined ? undefined : resolve(folder),
    repositoryFolder,
    ownFolders: [repositoryFolder, ...(folder === undefined ? [] : [resolve(folder, 'drills')])],
    compression: repository.compression !== 'off',
    objective: objectiveOf({ tier, rtoMs, rpoMs }),
    schedule,
    secrets,
    notifiers,
    audit,
    clock,
  };
}

function byId(sources: readonly Recoverable[]): Map<string, Recoverable> {
  const map = new Map<string, Recoverable>();
  const issues = sources.flatMap(({ id }, index) => {
    const field = `sources.${index}.id`;
    if (!/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$/.test(id)) {
      const expected = 'letters, digits, ".", "_" and "-", not "." first, at most 100';
      return [{ field, expected, received: 'other text', remedy: 'Give the source an `id` of this form.' }];
    }
    if (sources.findIndex((source) => source.id === id) === index) return [];
    return [{ field, expected: 'an id of its own', received: 'one that stands twice', remedy: `Rename one ${id}.` }];
  });
  if (issues.length > 0) throw configError('DisasterRecoveryManager', issues);
  for (const source of sources) map.set(source.id, source);
  return map;
}
