import type { EventNames } from '@mnops/core/lifecycle';
import type { HostStatus, StorageDamage } from '@mnops/core/spi';

/** Events of a `SecretsManager`; none carries a value. */
export interface SecretsEvents {
  /** The state of the manager is another. */
  readonly 'status:changed': { readonly status: HostStatus; readonly reasons: readonly string[] };
  /** A secret was written, moved or deleted, here or by another process. Without a path: any may have been. */
  readonly 'secret:changed': { readonly path?: string | undefined };
  /** A secret that this manager read, wrote or listed expires soon; once for each version and expiry. */
  readonly 'expiry:neared': { readonly path: string; readonly version: string; readonly expiresAt: Date };
  /** The default vault's key was made. Losing that file is losing the secrets. */
  readonly 'key:created': { readonly file: string };
  /** Part of a file is lost; the rest is in use. */
  readonly 'storage:damaged': StorageDamage;
  /** A lease lives longer. */
  readonly 'lease:renewed': { readonly path: string; readonly leaseId: string; readonly expiresAt: Date };
  /** Another credential took the place of one that could not be renewed any more. */
  readonly 'lease:replaced': { readonly path: string; readonly leaseId: string; readonly expiresAt: Date };
  /** A lease ended although it was wanted, and no other could be had in time. */
  readonly 'lease:lost': { readonly path: string; readonly leaseId: string; readonly code?: string | undefined };
  readonly 'rotation:started': { readonly path: string; readonly token: string };
  /** One step of a rotation is done and journalled. */
  readonly 'rotation:advanced': { readonly path: string; readonly token: string; readonly step: string };
  readonly 'rotation:completed': {
    readonly path: string;
    readonly version: string;
    readonly revokeAt?: Date | undefined;
  };
  readonly 'rotation:failed': { readonly path: string; readonly step: string; readonly code?: string | undefined };
}

/** Their names. */
export const secretsEvents: EventNames<SecretsEvents> = {
  'status:changed': true,
  'secret:changed': true,
  'expiry:neared': true,
  'key:created': true,
  'storage:damaged': true,
  'lease:renewed': true,
  'lease:replaced': true,
  'lease:lost': true,
  'rotation:started': true,
  'rotation:advanced': true,
  'rotation:completed': true,
  'rotation:failed': true,
};
