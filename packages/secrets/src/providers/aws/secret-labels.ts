import { createHash } from 'node:crypto';
import { UnsupportedError } from '@mnops/core';
import type { SecretStage } from '@mnops/core/spi';

const labels: ReadonlyMap<string, string> = new Map([
  ['current', 'AWSCURRENT'],
  ['previous', 'AWSPREVIOUS'],
  ['pending', 'AWSPENDING'],
]);
const stages: ReadonlyMap<string, string> = new Map([...labels].map(([stage, label]) => [label, stage]));

/** Labels that begin so hold facts of the version that they are attached to. */
const factsPrefix = 'mnops-';
const maxLabelLength = 256;

/** Facts of one version that Secrets Manager has no field for. */
export interface VersionFacts {
  readonly expiresAtMs?: number | undefined;
  readonly contentType?: string | undefined;
}

/** Name of a stage in Secrets Manager. */
export function labelOf(stage: SecretStage): string {
  return labels.get(stage) ?? stage;
}

/** Refuses a stage that cannot be a label of its own. */
export function assertStage(stage: SecretStage): void {
  if (stage.length >= 1 && stage.length <= maxLabelLength && !stages.has(stage) && !stage.startsWith(factsPrefix))
    return;
  throw new UnsupportedError('aws: this is no name for a stage.', {
    provider: 'aws',
    remedy: `Choose one of 1 to ${maxLabelLength} characters, other than AWSCURRENT, AWSPREVIOUS, AWSPENDING and ${factsPrefix}….`,
  });
}

/** The stages among the labels of a version, sorted. */
export function stagesOf(attached: readonly string[]): SecretStage[] {
  const own = attached.filter((label) => !isFactsLabel(label));
  return own.map((label) => stages.get(label) ?? label).sort();
}

/** Whether a label holds facts and is no stage. */
export function isFactsLabel(label: string): boolean {
  return label.startsWith(factsPrefix);
}

/**
 * The label that holds the facts of a version; `undefined` when there are none. It is the same for the same version and
 * facts, and another for every other version, since a label can be attached to one version only.
 *
 * @throws {UnsupportedError} When the content type is too long for a label.
 */
export function factsLabel(version: string, facts: VersionFacts): string | undefined {
  const { expiresAtMs, contentType } = facts;
  if (expiresAtMs === undefined && contentType === undefined) return undefined;
  const own = createHash('sha256').update(version).digest('hex').slice(0, 12);
  const expiry = expiresAtMs === undefined ? '' : Math.round(expiresAtMs).toString(36);
  const type = contentType === undefined ? '' : `.${Buffer.from(contentType).toString('base64url')}`;
  const label = `${factsPrefix}${own}.${expiry}${type}`;
  if (label.length <= maxLabelLength) return label;
  throw new UnsupportedError('aws: the content type is too long for a label.', {
    provider: 'aws',
    remedy: 'Use one of at most 150 bytes.',
  });
}

/** The facts that the labels of a version hold. Of two expiries, which a broken change leaves, the earlier one holds. */
export function factsOf(attached: readonly string[]): VersionFacts {
  const facts = attached.filter(isFactsLabel).map((label) => {
    const [, expiry = '', type] = label.split('.');
    const expiresAtMs = Number.parseInt(expiry, 36);
    return {
      expiresAtMs: Number.isSafeInteger(expiresAtMs) ? expiresAtMs : undefined,
      contentType: type === undefined ? undefined : Buffer.from(type, 'base64url').toString(),
    };
  });
  const expiries = facts.flatMap(({ expiresAtMs }) => (expiresAtMs === undefined ? [] : [expiresAtMs]));
  return {
    expiresAtMs: expiries.length === 0 ? undefined : Math.min(...expiries),
    contentType: facts.find(({ contentType }) => contentType !== undefined)?.contentType,
  };
}

/** Id of the version that a write token makes: the token itself where Secrets Manager takes it. */
export function versionOfToken(token: string): string {
  return /^[A-Za-z0-9-]{32,64}$/.test(token) ? token : createHash('sha256').update(token).digest('hex');
}

/** Whether Secrets Manager takes a text as the id of a version. */
export function isVersionId(version: string): boolean {
  return version.length >= 32 && version.length <= 64;
}
