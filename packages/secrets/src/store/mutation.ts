import type { SecretStage, SecretVersionState } from '@mnops/core/spi';

/** A new version of a secret; its value travels beside it. */
export interface PutMutation {
  readonly kind: 'put';
  readonly path: string;
  readonly version: number;
  readonly token: string;
  readonly stages: readonly SecretStage[];
  readonly atMs: number;
  readonly expiresAtMs?: number | undefined;
  readonly contentType?: string | undefined;
  readonly tags?: Readonly<Record<string, string>> | undefined;
}

/** A stage that moves; `to: null` removes it. */
export interface StageMutation {
  readonly kind: 'stage';
  readonly path: string;
  readonly stage: SecretStage;
  readonly from: string | null;
  readonly to: string | null;
  readonly atMs: number;
}

/** Facts that change beside the values. */
export interface AnnotateMutation {
  readonly kind: 'annotate';
  readonly path: string;
  readonly expiresAtMs?: number | null | undefined;
  readonly annotations?: Readonly<Record<string, string | null>> | undefined;
  readonly atMs: number;
}

/** Versions, or a whole secret, that can no longer be read. */
export interface DeleteMutation {
  readonly kind: 'delete';
  readonly path: string;
  readonly versions?: readonly string[] | undefined;
  readonly permanent: boolean;
  readonly atMs: number;
}

/** The opposite of a delete that was not permanent. */
export interface RestoreMutation {
  readonly kind: 'restore';
  readonly path: string;
  readonly versions?: readonly string[] | undefined;
  readonly atMs: number;
}

/** Compaction: everything about a secret but its versions. Without `createdAtMs`: it is gone, only its numbering goes on. */
export interface SecretSummary {
  readonly kind: 'secret';
  readonly path: string;
  readonly lastVersion: number;
  readonly createdAtMs?: number | undefined;
  readonly updatedAtMs?: number | undefined;
  readonly deletedAtMs?: number | undefined;
  readonly stages?: Readonly<Record<string, string>> | undefined;
  readonly tags?: Readonly<Record<string, string>> | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** Compaction: one version; its value travels beside it unless it is destroyed. */
export interface VersionSummary {
  readonly kind: 'version';
  readonly path: string;
  readonly version: number;
  readonly token: string;
  readonly state: SecretVersionState;
  readonly createdAtMs: number;
  readonly expiresAtMs?: number | undefined;
  readonly contentType?: string | undefined;
}

/** One change of a store of versions, as plain data: what a vault file holds. */
export type Mutation =
  | PutMutation
  | StageMutation
  | AnnotateMutation
  | DeleteMutation
  | RestoreMutation
  | SecretSummary
  | VersionSummary;

const kinds: readonly string[] = ['put', 'stage', 'annotate', 'delete', 'restore', 'secret', 'version'];

/** Whether parsed data is a mutation of a kind that this version of the package knows. */
export function isMutation(value: unknown): value is Mutation {
  if (typeof value !== 'object' || value === null) return false;
  const { kind, path } = value as { readonly kind?: unknown; readonly path?: unknown };
  return typeof path === 'string' && typeof kind === 'string' && kinds.includes(kind);
}
