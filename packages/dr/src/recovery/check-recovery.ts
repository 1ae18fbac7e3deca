import { type ConfigIssue, configError } from '@mnops/core/config';
import type { RecoverOptions } from '../types.js';
import type { RecoveryPlan } from './recovery-plan.js';

/**
 * Refuses a plan that could not end well, before anything of production is touched.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` with all issues.
 */
export function checkRecovery(plan: RecoveryPlan | undefined, options: RecoverOptions | undefined): void {
  const issues: ConfigIssue[] = [];
  if (typeof plan?.ready?.check !== 'function') {
    const remedy = 'Give a probe of the service, or the `healthSource` of another package.';
    issues.push({ field: 'plan.ready', expected: 'a health source', received: 'none', remedy });
  }
  for (const step of ['stop', 'start'] as const) {
    if (plan?.[step] === undefined || typeof plan[step] === 'function') continue;
    issues.push({
      field: `plan.${step}`,
      expected: 'a function',
      received: 'another value',
      remedy: `Correct \`${step}\`.`,
    });
  }
  const at: unknown = options?.outageStartedAt;
  if (!(at instanceof Date) || Number.isNaN(at.getTime())) {
    const remedy = 'Say when the service was lost; RTO is counted from then.';
    issues.push({
      field: 'options.outageStartedAt',
      expected: 'a Date',
      received: at === undefined ? 'nothing' : 'another value',
      remedy,
    });
  }
  if (issues.length > 0) throw configError('recover', issues);
}
