import { coreError } from '@mnops/core';
import { safeJsonParse } from '@mnops/core/http';
import type { KubernetesInput, KubernetesObject } from '@mnops/core/kubernetes';
import { isMutation, type Mutation } from '../../store/mutation.js';
import { VersionStore } from '../../store/version-store.js';
import type { SecretData } from './secret-data.js';
import { nameOfPath, pathLabel, versionName } from './secret-name.js';

/** Label that tells the Secrets of this provider: `pointer` holds the current value, `version` one version. */
export const roleLabel = 'mnops.dev/secret';
/** Label that the versions of one path share. */
export const pathHashLabel = 'mnops.dev/path-hash';
export const pathAnnotation = 'mnops.dev/path';
export const tokenAnnotation = 'mnops.dev/token';
const stateAnnotation = 'mnops.dev/state';
const heldAnnotation = 'mnops.dev/version';
const fieldsAnnotation = 'mnops.dev/fields';

/** The server takes 256 KiB of annotations. */
const maxStateBytes = 200_000;

/** A Secret as the server gives it. */
export type StoredObject = KubernetesObject<{
  readonly data?: Readonly<Record<string, string>> | undefined;
  readonly type?: string | undefined;
}>;

/** Versions and stages of one path, and where their values are. */
export interface PointerState {
  readonly store: VersionStore<never>;
  /** Version whose value the pointer itself holds. */
  readonly held: string;
  readonly resourceVersion: string | undefined;
  /** Absent: there is no pointer yet. */
  readonly object: StoredObject | undefined;
}

/** Whether a Secret was made by this provider. */
export function isOwn(object: StoredObject): boolean {
  return object.metadata.annotations?.[stateAnnotation] !== undefined;
}

/** What a pointer says, or the beginning when there is none. */
export function stateOf(path: string, object: StoredObject | undefined): PointerState {
  const store = new VersionStore<never>();
  if (object === undefined) return { store, held: '', resourceVersion: undefined, object };
  const { annotations = {}, resourceVersion } = object.metadata;
  if (annotations[pathAnnotation] !== path) {
    throw coreError('MNOPS_CORE_CONFLICT', `kubernetes-secrets: the Secret of ${path} belongs to another path.`, {
      provider: 'kubernetes-secrets',
      details: { path, name: object.metadata.name },
      remedy: 'Choose another path.',
    });
  }
  for (const mutation of parsedState(annotations[stateAnnotation] ?? '', path)) store.apply(mutation);
  return { store, held: annotations[heldAnnotation] ?? '', resourceVersion, object };
}

/** The path that a pointer is of, where its metadata says so. */
export function pathOfObject(object: StoredObject): string | undefined {
  return isOwn(object) ? object.metadata.annotations?.[pathAnnotation] : undefined;
}

/** A pointer to write, and the versions that it drops. */
export function pointerObject(
  path: string,
  state: PointerState,
  content: { readonly held: string; readonly data: SecretData },
  options: { readonly maxVersions: number; readonly labels: Readonly<Record<string, string>> },
): {
  readonly object: KubernetesInput & { readonly metadata: { readonly name: string } };
  readonly dropped: readonly number[];
} {
  const dropped = droppedVersions(path, state.store, options.maxVersions);
  const text = JSON.stringify(
    summaryOf(state.store).filter((item) => !(item.kind === 'version' && dropped.includes(item.version))),
  );
  if (Buffer.byteLength(text) > maxStateBytes) throw tooMuch(path);
  // Read back before it is written: what could not be read would lock the secret.
  parsedState(text, path);
  const { metadata } = state.object ?? { metadata: {} };
  const { resourceVersion } = state;
  return {
    dropped,
    object: {
      kind: 'Secret',
      metadata: {
        name: nameOfPath(path),
        ...(resourceVersion === undefined ? {} : { resourceVersion }),
        labels: { ...labelsOf(metadata), ...options.labels, ...ownLabels(path, 'pointer') },
        annotations: {
          ...othersAnnotations(metadata),
          [pathAnnotation]: path,
          [stateAnnotation]: text,
          [heldAnnotation]: content.held,
          ...fieldsFact(content.data),
        },
      },
      type: 'Opaque',
      data: content.data.data,
    },
  };
}

/** The Secret of one version: it never changes. */
export function versionObject(
  path: string,
  version: number,
  data: SecretData,
  facts: { readonly token: string; readonly labels: Readonly<Record<string, string>> },
): KubernetesInput {
  return {
    kind: 'Secret',
    metadata: {
      name: versionName(path, version),
      labels: { ...facts.labels, ...ownLabels(path, 'version') },
      annotations: { [pathAnnotation]: path, [tokenAnnotation]: facts.token, ...fieldsFact(data) },
    },
    type: 'Opaque',
    immutable: true,
    data: data.data,
  };
}

/** Data of a Secret of this provider, with the order of its fields. */
export function dataOfObject(object: StoredObject): SecretData {
  const text = object.metadata.annotations?.[fieldsAnnotation];
  const { data = {} } = object;
  if (text === undefined) return { data };
  const fields = safeJsonParse(text);
  if (Array.isArray(fields) && fields.every((field) => typeof field === 'string')) return { data, fields };
  throw invalidState(fieldsAnnotation);
}

function ownLabels(path: string, role: 'pointer' | 'version'): Record<string, string> {
  return { 'app.kubernetes.io/managed-by': 'mnops', [roleLabel]: role, [pathHashLabel]: pathLabel(path) };
}

function labelsOf(metadata: object): Readonly<Record<string, string>> {
  return (metadata as StoredObject['metadata']).labels ?? {};
}

/** What others wrote beside ours stays. */
function othersAnnotations(metadata: object): Record<string, string> {
  const { annotations = {} } = metadata as StoredObject['metadata'];
  return Object.fromEntries(Object.entries(annotations).filter(([name]) => !name.startsWith('mnops.dev/')));
}

function fieldsFact({ fields }: SecretData): Record<string, string> {
  return fields === undefined ? {} : { [fieldsAnnotation]: JSON.stringify(fields) };
}

function summaryOf(store: VersionStore<never>): Mutation[] {
  // The path stands in an annotation of its own.
  return [...store.summary()].map(({ mutation }) => ({ ...mutation, path: '' }));
}

function parsedState(text: string, path: string): Mutation[] {
  const items = safeJsonParse(text);
  if (!Array.isArray(items)) throw invalidState(stateAnnotation);
  return items.map((item: unknown) => {
    if (!isMutation(item)) throw invalidState(stateAnnotation);
    return { ...item, path };
  });
}

/** The oldest versions beyond the limit that no stage points at. */
function droppedVersions(path: string, store: VersionStore<never>, maxVersions: number): readonly number[] {
  const all = store.versions(path);
  const spare = all.filter(({ stages }) => stages.length === 0).map(({ version }) => Number(version));
  return spare.reverse().slice(0, Math.max(0, all.length - maxVersions));
}

function tooMuch(path: string): Error {
  return coreError(
    'MNOPS_CORE_TOO_LARGE',
    `kubernetes-secrets: the facts of ${path} are over ${maxStateBytes} bytes.`,
    {
      provider: 'kubernetes-secrets',
      details: { path, maxBytes: maxStateBytes },
      remedy: 'Give it fewer or shorter tags, or lower `maxVersions`.',
    },
  );
}

function invalidState(annotation: string): Error {
  return coreError('MNOPS_CORE_RESPONSE_INVALID', `kubernetes-secrets: an annotation ${annotation} is damaged.`, {
    provider: 'kubernetes-secrets',
    details: { annotation },
    remedy: 'Somebody changed the Secret beside MNOps: restore it from a backup.',
  });
}
