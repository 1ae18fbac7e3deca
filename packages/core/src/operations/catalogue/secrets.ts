import type { OperationEntry } from './shape.js';

/** Operations of `@mnops/secrets`. A path names a secret and stands in no label; a value stands nowhere. */
export const secretsOperations = {
  'mnops:secrets:read': {
    fields: ['provider', 'path', 'version', 'cached', 'outcome'],
    labelFields: ['provider', 'cached', 'outcome'],
  },
  'mnops:secrets:list': { fields: ['provider', 'path', 'outcome'], labelFields: ['provider', 'outcome'] },
  'mnops:secrets:refresh': {
    fields: ['provider', 'path', 'version', 'outcome'],
    labelFields: ['provider', 'outcome'],
    routine: true,
  },
  'mnops:secrets:write': { fields: ['provider', 'path', 'version', 'outcome'], labelFields: ['provider', 'outcome'] },
  'mnops:secrets:delete': { fields: ['provider', 'path', 'version', 'outcome'], labelFields: ['provider', 'outcome'] },
  'mnops:secrets:lease': { fields: ['provider', 'path', 'outcome'], labelFields: ['provider', 'outcome'] },
  'mnops:secrets:lease-step': {
    fields: ['provider', 'path', 'step', 'outcome'],
    labelFields: ['provider', 'step', 'outcome'],
    routine: true,
  },
  'mnops:secrets:rotate': {
    fields: ['provider', 'rotator', 'path', 'version', 'outcome'],
    labelFields: ['provider', 'rotator', 'outcome'],
  },
  'mnops:secrets:rotate-step': {
    fields: ['provider', 'rotator', 'path', 'version', 'step', 'outcome'],
    labelFields: ['provider', 'rotator', 'step', 'outcome'],
  },
} as const;
secretsOperations satisfies Readonly<Record<`mnops:secrets:${string}`, OperationEntry>>;
