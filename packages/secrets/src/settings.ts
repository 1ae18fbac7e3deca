import { randomBytes } from 'node:crypto';
import { join, resolve } from 'node:path';
import { systemClock } from '@mnops/core';
import { auditEntries } from '@mnops/core/audit';
import {
  type ConfigIssue,
  clockSchema,
  configError,
  countSchema,
  durationMsSchema,
  leaseSchema,
  parseOptions,
  providerSchema,
  serviceIdentity,
  serviceSchema,
  textSchema,
} from '@mnops/core/config';
import { keyFile } from '@mnops/core/crypto';
import { fileLease } from '@mnops/core/lease';
import { nextRun, type Schedule, scheduleSchema } from '@mnops/core/schedule';
import type { Clock, Lease, RotationStrategy, Rotator, SecretProvider } from '@mnops/core/spi';
import * as v from 'valibot';
import { secretActions } from './access/policy.js';
import { pathKeyBytes } from './audit/path-hashes.js';
import type { PathKey } from './audit/recorder.js';
import { assertPath } from './path.js';
import { encryptedFile } from './providers/encrypted-file/index.js';
import type { RotationConfig, SecretAuditConfig, SecretConfig } from './secret-config.js';

/** Cache limits with every default filled in. */
export interface CacheSettings {
  readonly ttlMs: number;
  readonly jitter: number;
  readonly maxEntries: number;
  readonly maxBytes: number;
  readonly staleWhileRevalidateMs: number;
  readonly staleOnErrorMs: number;
  readonly negativeTtlMs: number;
}

/** Retry limits with every default filled in. */
export interface RetrySettings {
  readonly maxAttempts: number;
  readonly baseDelayMs: number;
  readonly maxDelayMs: number;
}

/** One rotation with every default filled in. */
export interface RotationSettings {
  readonly path: string;
  readonly rotator: Rotator;
  readonly strategy: RotationStrategy;
  readonly schedule: Schedule | undefined;
  readonly graceMs: number;
  readonly propagationMs: number;
  readonly stepTimeoutMs: number;
  readonly jitterMs: number;
}

/** Warnings before expiries with every default filled in. */
export interface ExpirySettings {
  readonly warnBeforeMs: number;
  readonly checkAtStart?: boolean | undefined;
}

/** A configuration that was checked, with every default filled in. */
export interface Settings {
  readonly provider: SecretProvider;
  readonly folder: string | undefined;
  readonly service: string;
  readonly timeoutMs: number;
  readonly retry: RetrySettings;
  readonly budgetPerSecond: number;
  readonly cache: CacheSettings | undefined;
  readonly access: SecretConfig['access'];
  readonly audit: Omit<SecretAuditConfig, 'reads' | 'hashPaths'> | undefined;
  readonly pathKey: PathKey;
  readonly reads: 'all' | 'uncached' | 'none';
  readonly rotations: ReadonlyMap<string, RotationSettings>;
  readonly lease: Lease | undefined;
  readonly leaseTtlMs: number;
  readonly expiry: ExpirySettings | undefined;
  readonly clock: Clock;
}

const defaultFolder = join('.mnops', 'secrets');
const hourMs = 3_600_000;
const share = v.pipe(v.number(), v.minValue(0), v.maxValue(1));
const actions = v.array(v.picklist([...secretActions, '*']));

const pathKey = v.custom<Uint8Array>(
  (value) => value instanceof Uint8Array && value.length === pathKeyBytes,
  `${pathKeyBytes} bytes`,
);

const cacheSchema = v.strictObject({
  ttlMs: v.optional(durationMsSchema, 300_000),
  jitter: v.optional(share, 0.2),
  maxEntries: v.optional(countSchema, 1_024),
  maxBytes: v.optional(countSchema, 16 * 1024 * 1024),
  staleWhileRevalidateMs: v.optional(durationMsSchema, 60_000),
  staleOnErrorMs: v.optional(durationMsSchema, 0),
  negativeTtlMs: v.optional(durationMsSchema, 5_000),
});

const rotationSchema = v.strictObject({
  rotator: providerSchema<Rotator>('rotator', ['generate', 'apply', 'verify', 'revoke']),
  strategy: v.optional(v.picklist(['single-user', 'dual-user'])),
  schedule: v.optional(scheduleSchema),
  graceMs: v.optional(durationMsSchema),
  propagationMs: v.optional(durationMsSchema),
  stepTimeoutMs: v.optional(countSchema, 30_000),
  jitterMs: v.optional(durationMsSchema, 60_000),
});

const configSchema = v.strictObject({
  provider: v.optional(providerSchema<SecretProvider>('secret-provider', ['get', 'put', 'describe', 'list', 'delete'])),
  folder: v.optional(textSchema),
  service: v.optional(serviceSchema),
  timeoutMs: v.optional(countSchema, 10_000),
  retry: v.optional(
    v.strictObject({
      maxAttempts: v.optional(countSchema, 4),
      baseDelayMs: v.optional(durationMsSchema, 100),
      maxDelayMs: v.optional(durationMsSchema, 10_000),
      budgetPerSecond: v.optional(v.pipe(v.number(), v.finite(), v.minValue(0.001)), 10),
    }),
    {},
  ),
  cache: v.optional(v.union([v.literal(false), cacheSchema]), {}),
  access: v.optional(
    v.strictObject({
      roles: v.record(
        v.string(),
        v.array(v.strictObject({ path: textSchema, allow: v.optional(actions), deny: v.optional(actions) })),
      ),
      actors: v.record(v.string(), v.array(v.string())),
      defaultActor: v.optional(textSchema),
    }),
  ),
  audit: v.optional(
    v.union([
      v.literal(false),
      v.strictObject({
        ...auditEntries,
        reads: v.optional(v.picklist(['all', 'uncached', 'none'])),
        hashPaths: v.optional(v.union([v.boolean(), v.strictObject({ key: pathKey })])),
      }),
    ]),
  ),
  expiry: v.optional(
    v.union([
      v.literal(false),
      v.strictObject({
        warnBeforeMs: v.optional(durationMsSchema, 7 * 24 * hourMs),
        checkAtStart: v.optional(v.boolean()),
      }),
    ]),
    {},
  ),
  rotations: v.optional(v.record(v.string(), rotationSchema), {}),
  lease: v.optional(leaseSchema),
  leaseTtlMs: v.optional(v.pipe(durationMsSchema, v.minValue(100)), 10_000),
  clock: v.optional(clockSchema),
});

/**
 * The configuration, checked, with defaults.
 *
 * @param onKeyCreated - Called with the path when the default vault's key was made.
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` with every issue.
 */
export function settingsOf(config: SecretConfig, onKeyCreated: (file: string) => void): Settings {
  const parsed = parseOptions('SecretsManager', configSchema, config);
  const clock = parsed.clock ?? systemClock();
  const givenFolder = parsed.folder ?? (parsed.provider === undefined ? defaultFolder : undefined);
  const folder = givenFolder === undefined ? undefined : resolve(givenFolder);
  const provider =
    parsed.provider ??
    encryptedFile({
      file: join(folder ?? defaultFolder, 'secrets.vault'),
      key: keyFile({ create: true, onCreated: onKeyCreated }),
      clock,
    });
  const rotations = rotationsOf(config.rotations ?? {}, provider, clock);
  assertJournal(rotations, provider, folder);
  const { budgetPerSecond, ...retry } = parsed.retry;
  const given: SecretAuditConfig = config.audit === false ? { reads: 'none' } : (config.audit ?? {});
  const { reads = 'all', hashPaths = false, ...audit } = given;
  const auditFolder = audit.folder ?? (folder === undefined ? undefined : join(folder, 'audit'));
  return {
    provider,
    folder,
    service: serviceIdentity(parsed.service).name,
    timeoutMs: parsed.timeoutMs,
    retry,
    budgetPerSecond,
    cache: parsed.cache === false ? undefined : parsed.cache,
    access: config.access,
    audit: config.audit === false ? undefined : { ...audit, folder: auditFolder },
    pathKey: pathKeyOf(hashPaths, folder, auditFolder ?? audit.sink),
    reads,
    expiry: parsed.expiry === false ? undefined : parsed.expiry,
    rotations,
    lease: parsed.lease ?? (folder === undefined ? undefined : fileLease({ folder: join(folder, 'leases') })),
    leaseTtlMs: parsed.leaseTtlMs,
    clock,
  };
}

/** Where the key for the hashes of paths is; records that outlive the process need one that does too. */
function pathKeyOf(
  hashPaths: NonNullable<SecretAuditConfig['hashPaths']>,
  folder: string | undefined,
  kept: unknown,
): PathKey {
  if (hashPaths === false) return undefined;
  if (hashPaths !== true) return hashPaths;
  if (folder !== undefined) return { file: join(folder, 'audit-paths.key') };
  if (kept === undefined) return { key: randomBytes(pathKeyBytes) };
  throw configError('SecretsManager', [
    {
      field: 'audit.hashPaths',
      expected: 'a key, or `folder` for the file that holds it',
      received: 'true without `folder`',
      remedy: `Set \`folder\`, or give \`{ key }\` with ${pathKeyBytes} bytes.`,
    },
  ]);
}

function rotationsOf(
  configs: Readonly<Record<string, RotationConfig>>,
  provider: SecretProvider,
  clock: Clock,
): Map<string, RotationSettings> {
  const rotations = new Map<string, RotationSettings>();
  const issues: ConfigIssue[] = [];
  for (const [path, config] of Object.entries(configs)) {
    assertPath(path);
    const { rotator, schedule: when } = config;
    const periodMs = when === undefined ? Number.POSITIVE_INFINITY : periodOf(path, when, clock, issues);
    const graceMs = config.graceMs ?? Math.min(hourMs, Math.floor(periodMs / 2));
    if (graceMs >= periodMs) {
      issues.push({
        field: `rotations.${path}.graceMs`,
        expected: `less than the ${periodMs} ms between two rotations`,
        received: 'a longer time',
        remedy: 'Shorten graceMs, or rotate less often.',
      });
    }
    const strategy = strategyOf(path, config, issues);
    if (rotator.admin !== undefined) assertPath(rotator.admin);
    const overlaps = strategy === 'dual-user' || rotator.capabilities.overlap;
    const declared = overlaps ? provider.capabilities.propagationMs : 0;
    rotations.set(path, {
      path,
      rotator,
      strategy,
      schedule: when,
      graceMs,
      propagationMs: config.propagationMs ?? declared,
      stepTimeoutMs: config.stepTimeoutMs ?? 30_000,
      jitterMs: config.jitterMs ?? 60_000,
    });
  }
  if (issues.length > 0) throw configError('SecretsManager', issues);
  return rotations;
}

/** The strategy that is asked for, else the rotator's first. */
function strategyOf(path: string, { rotator, strategy }: RotationConfig, issues: ConfigIssue[]): RotationStrategy {
  const { strategies } = rotator.capabilities;
  const chosen = strategy ?? strategies[0] ?? 'single-user';
  if (!strategies.includes(chosen)) {
    issues.push({
      field: `rotations.${path}.strategy`,
      expected: `one that the rotator ${rotator.id} can follow: ${strategies.join(', ')}`,
      received: chosen,
      remedy: 'Choose one of these, or a rotator that can follow it.',
    });
  }
  return chosen;
}

/** Milliseconds between the next two runs. */
function periodOf(path: string, when: Schedule, clock: Clock, issues: ConfigIssue[]): number {
  const first = nextRun(when, clock.now());
  const second = first === undefined ? undefined : nextRun(when, first);
  if (first !== undefined && second !== undefined) return second - first;
  issues.push({
    field: `rotations.${path}.schedule`,
    expected: 'a schedule with another run ahead',
    received: 'one without',
    remedy: "Give 'daily', { everyMs } or a cron pattern that comes true.",
  });
  return Number.POSITIVE_INFINITY;
}

/** A rotation that a crash interrupts must be found again, so its journal needs a place. */
function assertJournal(
  rotations: ReadonlyMap<string, RotationSettings>,
  provider: SecretProvider,
  folder: string | undefined,
): void {
  if (rotations.size === 0 || folder !== undefined || !provider.capabilities.durable) return;
  throw configError('SecretsManager', [
    {
      field: 'folder',
      expected: 'a folder for the rotation journals',
      received: 'nothing',
      remedy: 'Set `folder`: without a journal, a crash during a rotation could not be mended.',
    },
  ]);
}
