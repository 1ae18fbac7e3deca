import { describe, expect, it } from 'vitest';
import { checkRecovery } from './check-recovery.js';

const ready = {
  specVersion: 1,
  kind: 'health-source',
  id: 'x',
  check: async () => ({ status: 'healthy' as const, reasons: [], atMs: 0 }),
} as const;

describe('checkRecovery', () => {
  it('takes a plan with a probe and a time', () => {
    expect(() => checkRecovery({ ready }, { outageStartedAt: new Date() })).not.toThrow();
  });

  it('names everything that is wrong, before production is touched', () => {
    expect(() => checkRecovery({ redy: ready, stop: 5 } as never, {} as never)).toThrow(
      expect.objectContaining({
        code: 'MNOPS_CORE_CONFIG_INVALID',
        details: {
          issues: ['plan.ready', 'plan.stop', 'options.outageStartedAt'].map((field) =>
            expect.objectContaining({ field }),
          ),
        },
      }),
    );
  });
});
