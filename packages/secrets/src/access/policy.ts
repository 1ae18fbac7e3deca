import { coreError } from '@mnops/core';
import { type ConfigIssue, configError } from '@mnops/core/config';
import { assertPath } from '../path.js';
import { compareSpecificity, patternCovers } from './match.js';

/** What an actor does with a secret; `*` in a rule means all of them. */
export type SecretAction =
  | 'read'
  | 'list'
  | 'create'
  | 'update'
  | 'delete'
  | 'restore'
  | 'rollback'
  | 'rotate'
  | 'lease'
  | 'audit';

/** Every action, for checks and documents. */
export const secretActions: readonly SecretAction[] = [
  'read',
  'list',
  'create',
  'update',
  'delete',
  'restore',
  'rollback',
  'rotate',
  'lease',
  'audit',
];

/** What a role may do on the paths that a pattern covers. */
export interface AccessRule {
  /** Path; `+` stands for one segment, a `*` at the end for any rest. */
  readonly path: string;
  readonly allow?: readonly (SecretAction | '*')[] | undefined;
  /** Wins over `allow` of every rule with the same pattern. */
  readonly deny?: readonly (SecretAction | '*')[] | undefined;
}

/** Who may do what. Whatever no rule allows is denied. */
export interface AccessConfig {
  /** Rules by role. */
  readonly roles: Readonly<Record<string, readonly AccessRule[]>>;
  /** Roles by actor. */
  readonly actors: Readonly<Record<string, readonly string[]>>;
  /** Actor of calls on the manager itself. Default `host`. */
  readonly defaultActor?: string | undefined;
}

/** Answer of `explain`. */
export interface AccessDecision {
  readonly allowed: boolean;
  /** Pattern that decided; absent when none covers the path or no rules were given. */
  readonly rule?: string | undefined;
  /** Role that the deciding rule belongs to. */
  readonly role?: string | undefined;
  /** Sentence for a person. */
  readonly reason: string;
}

/** Decides what actors may do. It is pure: the same question has the same answer. */
export interface AccessPolicy {
  readonly defaultActor: string;
  /** False: everything is allowed. */
  readonly restricts: boolean;
  explain(actor: string, action: SecretAction, path: string): AccessDecision;
  /** @throws {MnopsError} `MNOPS_CORE_ACCESS_DENIED` with the reason. */
  assertAllowed(actor: string, action: SecretAction, path: string): void;
}

interface OwnedRule extends AccessRule {
  readonly role: string;
}

/** Makes the policy of a configuration; without one, everything is allowed. */
export function accessPolicy(config: AccessConfig | undefined): AccessPolicy {
  const defaultActor = config?.defaultActor ?? 'host';
  if (config !== undefined) assertConsistent(config);
  const byActor = new Map<string, readonly OwnedRule[]>();
  for (const [actor, roles] of Object.entries(config?.actors ?? {})) {
    byActor.set(
      actor,
      roles.flatMap((role) => (config?.roles[role] ?? []).map((rule) => ({ ...rule, role }))),
    );
  }

  function explain(actor: string, action: SecretAction, path: string): AccessDecision {
    if (config === undefined) return { allowed: true, reason: 'No access rules were given, so everything is allowed.' };
    if (typeof path !== 'string') assertPath(path);
    const rules = byActor.get(actor);
    if (rules === undefined) return { allowed: false, reason: `The actor ${actor} has no roles.` };
    const covering = rules.filter((rule) => patternCovers(rule.path, path));
    const best = covering.reduce<string | undefined>(
      (found, { path: pattern }) => (found === undefined || compareSpecificity(pattern, found) > 0 ? pattern : found),
      undefined,
    );
    if (best === undefined) return { allowed: false, reason: `No rule of ${actor} covers ${path}.` };
    // Only rules with the most specific pattern count; among them a deny wins and allows add up.
    const deciding = covering.filter((rule) => rule.path === best);
    const denying = deciding.find((rule) => includes(rule.deny, action));
    if (denying !== undefined) {
      return {
        allowed: false,
        rule: best,
        role: denying.role,
        reason: `Role ${denying.role} denies ${action} on ${best}.`,
      };
    }
    const allowing = deciding.find((rule) => includes(rule.allow, action));
    if (allowing !== undefined) {
      return {
        allowed: true,
        rule: best,
        role: allowing.role,
        reason: `Role ${allowing.role} allows ${action} on ${best}.`,
      };
    }
    return {
      allowed: false,
      rule: best,
      reason: `The most specific rule, ${best}, does not allow ${action} to ${actor}.`,
    };
  }

  return {
    defaultActor,
    restricts: config !== undefined,
    explain,
    assertAllowed(actor, action, path) {
      if (config === undefined) return;
      const decision = explain(actor, action, path);
      if (decision.allowed) return;
      throw coreError('MNOPS_CORE_ACCESS_DENIED', `${actor} may not ${action} ${path}. ${decision.reason}`, {
        operation: action,
        details: { actor, action, path, ...(decision.rule === undefined ? {} : { rule: decision.rule }) },
      });
    },
  };
}

function includes(actions: readonly (SecretAction | '*')[] | undefined, action: SecretAction): boolean {
  return actions?.some((each) => each === '*' || each === action) ?? false;
}

/** Names that point nowhere would deny silently: they are errors. */
function assertConsistent({ roles, actors, defaultActor }: AccessConfig): void {
  const issues: ConfigIssue[] = [];
  for (const [actor, names] of Object.entries(actors)) {
    for (const [index, name] of names.entries()) {
      if (Object.hasOwn(roles, name)) continue;
      const expected = `one of the roles ${Object.keys(roles).join(', ')}`;
      issues.push({
        field: `access.actors.${actor}.${index}`,
        expected,
        received: 'an unknown role',
        remedy: 'Define the role in access.roles, or correct its name.',
      });
    }
  }
  if (defaultActor !== undefined && !Object.hasOwn(actors, defaultActor)) {
    issues.push({
      field: 'access.defaultActor',
      expected: 'an actor of access.actors',
      received: 'an unknown actor',
      remedy: 'Give the actor its roles in access.actors.',
    });
  }
  for (const [role, rules] of Object.entries(roles)) {
    for (const [index, rule] of rules.entries()) {
      if (isPattern(rule.path)) continue;
      issues.push({
        field: `access.roles.${role}.${index}.path`,
        expected: 'a path in Unicode form NFC, with + for one segment and * only at the end',
        received: 'another text',
        remedy: 'Write patterns such as db/orders, db/+/login or db/*.',
      });
    }
  }
  if (issues.length > 0) throw configError('access', issues);
}

function isPattern(pattern: string): boolean {
  const body = pattern.endsWith('*') ? pattern.slice(0, -1) : pattern;
  // Paths are NFC: a pattern in another form would look right and never match.
  if (pattern === '' || pattern !== pattern.normalize('NFC') || body.includes('*') || body.startsWith('/'))
    return false;
  const segments = body.split('/');
  const inner = pattern.endsWith('*') ? segments.slice(0, -1) : segments;
  return inner.every((segment) => segment !== '' && segment !== '.' && segment !== '..');
}
