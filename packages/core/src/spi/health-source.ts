import type { Call, HealthReport, Spi } from './base.js';

/** Judges something on demand: a service, a store, a whole deployment. */
export interface HealthSource extends Spi<'health-source'> {
  /** One fresh judgement. Failing to judge is a report with status `unknown`, not a rejection. */
  check(call: Call): Promise<HealthReport>;
}
