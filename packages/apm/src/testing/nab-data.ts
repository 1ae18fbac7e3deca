import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** One series of the Numenta Anomaly Benchmark. */
export interface NabSeries {
  /** Folder and file name. */
  readonly name: string;
  readonly values: Float64Array;
  /** Epoch milliseconds; the file's local times are read as UTC. */
  readonly timesMs: Float64Array;
  /** First and last row of each labelled window. */
  readonly windows: readonly (readonly [number, number])[];
}

/** Whether a folder is laid out as the benchmark is. */
export function isNab(folder: string): boolean {
  return existsSync(join(folder, 'data')) && existsSync(join(folder, 'labels'));
}

/** Reads every series below `data` of the benchmark's folder. The labels are in `windows.json` or `combined_windows.json`. */
export function readNab(folder: string): readonly NabSeries[] {
  const labels = ['windows.json', 'combined_windows.json']
    .map((name) => join(folder, 'labels', name))
    .find((file) => existsSync(file));
  if (labels === undefined)
    throw new Error(`${join(folder, 'labels')} has neither windows.json nor combined_windows.json.`);
  const windows = JSON.parse(readFileSync(labels, 'utf8')) as Readonly<
    Record<string, readonly (readonly [string, string])[]>
  >;
  const files = readdirSync(join(folder, 'data'), { recursive: true, encoding: 'utf8' });
  return files
    .map((file) => file.replaceAll('\\', '/'))
    .filter((file) => file.endsWith('.csv'))
    .sort()
    .map((name) => seriesOf(name, readFileSync(join(folder, 'data', name), 'utf8'), windows[name] ?? []));
}

function seriesOf(name: string, text: string, windows: readonly (readonly [string, string])[]): NabSeries {
  const lines = text
    .split('\n')
    .slice(1)
    .filter((line) => line.includes(','));
  const cells = lines.map((line) => line.trim().split(','));
  const timesMs = Float64Array.from(cells, ([time = '']) => epochOf(time));
  return {
    name,
    timesMs,
    values: Float64Array.from(cells, ([, value]) => Number(value)),
    windows: windows.map(([from, to]) => [
      timesMs.findIndex((time) => time >= epochOf(from)),
      timesMs.findLastIndex((time) => time <= epochOf(to)),
    ]),
  };
}

/** Seconds are the resolution of the data; a label's fraction is always zero. */
function epochOf(text: string): number {
  return Date.parse(`${text.slice(0, 19).replace(' ', 'T')}Z`);
}
