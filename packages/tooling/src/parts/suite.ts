import { dataFolder, testDataRoot } from './data.js';
import type { Part } from './part.js';
import { type PartId, type PartOf, part } from './registry.js';

/** The two functions of a test runner that a suite needs. */
export interface SuiteRunner {
  readonly describe: {
    (name: string, body: () => void): unknown;
    readonly skip: (name: string, body: () => void) => unknown;
  };
  readonly it: (name: string, body: () => void) => unknown;
}

/**
 * Declares a suite that needs a real part. Absent, it is skipped under a name that says how to install the part; absent
 * although `MNOPS_REQUIRE_PARTS` names it, it fails.
 */
export function partSuite<K extends PartId>(
  runner: SuiteRunner,
  id: K,
  title: string,
  body: (part: PartOf<K>) => void,
): void {
  const found: Part = part(id);
  const lack = found.available ? undefined : `${id} is not on this machine: ${found.installLine}`;
  suiteUnless(runner, title, lack, isRequired(id), () => body(part(id)));
}

/** Declares a suite that needs a set of public test data; `MNOPS_REQUIRE_PARTS` with `data` or `data:<name>` makes it required. */
export function dataSuite(runner: SuiteRunner, name: string, title: string, body: (folder: string) => void): void {
  const folder = dataFolder(name);
  const lack = folder === undefined ? `no folder ${name} in ${testDataRoot()}: set MNOPS_TEST_DATA` : undefined;
  suiteUnless(runner, title, lack, isRequired('data') || isRequired(`data:${name}`), () => body(folder ?? ''));
}

/** Whether `MNOPS_REQUIRE_PARTS` (ids with commas between) names a part: absent is then a failure. */
export function isRequired(id: string): boolean {
  return (process.env.MNOPS_REQUIRE_PARTS ?? '')
    .split(',')
    .map((item) => item.trim())
    .includes(id);
}

function suiteUnless(
  { describe, it }: SuiteRunner,
  title: string,
  lack: string | undefined,
  required: boolean,
  body: () => void,
): void {
  if (lack === undefined) {
    describe(title, body);
    return;
  }
  if (required) {
    describe(title, () => {
      it('has the part that MNOPS_REQUIRE_PARTS names', () => {
        throw new Error(lack);
      });
    });
    return;
  }
  describe.skip(`${title} (${lack})`, () => {
    it('needs a part', () => {});
  });
}
