import { basename, dirname } from 'node:path';

/** What is wrong with the names in a suite file, or `undefined`. The runner finds suites by file name, so they must agree. */
export function suiteNameProblem(
  file: string,
  ending: string,
  suites: readonly { readonly package: string; readonly suite: string }[],
): string | undefined {
  if (suites.length === 0) return `${file} has no default export.`;
  const suite = basename(file, ending);
  const owner = basename(dirname(dirname(file)));
  const wrong = suites.find((one) => one.suite !== suite || one.package !== owner);
  return wrong && `${file} says it is ${wrong.package}:${wrong.suite}; by its place it is ${owner}:${suite}.`;
}
