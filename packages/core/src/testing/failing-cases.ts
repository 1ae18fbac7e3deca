import type { ContractRunner } from './contract.js';

/**
 * Runs a suite without a test runner and yields the names of the cases that fail, in order. For tests of contract
 * suites: a provider that breaks one rule must fail exactly the cases of that rule.
 */
export async function failingCases(suite: (runner: ContractRunner) => void): Promise<string[]> {
  const cases: { readonly name: string; readonly body: () => Promise<void> }[] = [];
  suite({
    describe: (_, body) => body(),
    it: (name, body) => void cases.push({ name, body }),
  });
  const failing: string[] = [];
  for (const { name, body } of cases) {
    try {
      await body();
    } catch {
      failing.push(name);
    }
  }
  return failing;
}
