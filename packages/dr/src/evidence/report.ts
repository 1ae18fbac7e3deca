import { join } from 'node:path';
import { ensureFolder, writeFileAtomic } from '@mnops/core/files';
import { type ControlEvidence, soc2Controls } from './controls.js';
import type { ReportException, ReportFacts, RunRecord } from './report-facts.js';

/** Evidence for an audit, with what is missing. It never says that something is compliant. */
export interface ComplianceReport {
  readonly framework: 'soc2';
  readonly service: string;
  readonly from: Date;
  readonly to: Date;
  readonly generatedAt: Date;
  readonly controls: readonly ControlEvidence[];
  readonly counts: ReportFacts['counts'];
  readonly drills: readonly RunRecord[];
  readonly recoveries: readonly RunRecord[];
  readonly exceptions: readonly ReportException[];
  readonly coverage: { readonly sources: readonly string[]; readonly withoutBackup: readonly string[] };
  /** State of the chain of records that the report rests on. */
  readonly chain: {
    readonly durable: boolean;
    readonly signed: boolean;
    readonly intact: boolean;
    readonly records: number;
    readonly findings: readonly string[];
  };
  /** The whole report in the format that was asked for. */
  readonly text: string;
  /** Files that were written. */
  readonly files: readonly string[];
}

/** Makes the report; with a folder, writes it there beside the lists that auditors sample from. */
export async function makeReport(
  facts: ReportFacts,
  generatedAt: Date,
  format: 'json' | 'markdown',
  folder: string | undefined,
): Promise<ComplianceReport> {
  const { service, from, to, counts, drills, recoveries, exceptions, sources, uncovered, verification } = facts;
  const body = {
    framework: 'soc2' as const,
    service,
    from,
    to,
    generatedAt,
    controls: soc2Controls(facts),
    counts,
    drills,
    recoveries,
    exceptions,
    coverage: { sources, withoutBackup: uncovered },
    chain: {
      durable: facts.durable,
      signed: facts.signed,
      intact: verification?.intact ?? false,
      records: verification?.records ?? 0,
      findings: chainGaps(facts),
    },
  };
  const text = format === 'json' ? `${JSON.stringify(body, undefined, 2)}\n` : markdown(body);
  const files = folder === undefined ? [] : await write(folder, format, text, body);
  return { ...body, text, files };
}

function chainGaps({ verification, durable, signed }: ReportFacts): string[] {
  const gaps = (verification?.findings ?? []).slice(0, 100).map(({ message }) => message);
  if (verification === undefined) gaps.push('No evidence is kept: the audit log is switched off.');
  else if (!durable) gaps.push('Evidence is kept in memory only and reaches back to the start of this process.');
  if (!signed) gaps.push('Checkpoints of the evidence are not signed.');
  return gaps;
}

type ReportBody = Omit<ComplianceReport, 'text' | 'files'>;

function markdown(report: ReportBody): string {
  const { service, from, to, generatedAt, controls, counts, exceptions, coverage, chain } = report;
  const day = (date: Date): string => date.toISOString();
  const list = (items: readonly string[], none: string): string =>
    items.length === 0 ? `- ${none}\n` : items.map((item) => `- ${item}\n`).join('');
  let text = `# Evidence for SOC 2: recovery of ${service}\n\n`;
  text += `Period: ${day(from)} to ${day(to)}. Made: ${day(generatedAt)}.\n\n`;
  text +=
    'This report holds evidence for the controls named below and lists gaps. Whether the controls are met is for an auditor to judge.\n\n';
  text += `## Records\n\n- Chain of records intact: ${chain.intact ? 'yes' : 'NO'} (${chain.records} records, `;
  text += `${chain.durable ? 'durable' : 'in memory'}, ${chain.signed ? 'signed' : 'not signed'})\n${list(chain.findings, 'No finding.')}\n`;
  for (const { id, asks, evidence, gaps } of controls) {
    text += `## ${id}\n\n${asks}\n\nEvidence for it:\n\n${list(evidence, 'None.')}\nGaps:\n\n${list(gaps, 'None known.')}\n`;
  }
  text += `## Population\n\n| what | count |\n|---|---|\n`;
  for (const [name, count] of Object.entries(counts)) text += `| ${name} | ${count} |\n`;
  text += `\nSources: ${coverage.sources.join(', ') || 'none'}. Without a complete backup in the period: ${coverage.withoutBackup.join(', ') || 'none'}.\n`;
  text += `\n## Exceptions\n\n${list(
    exceptions.map(({ kind, at, code }) => `${at} ${kind}: ${code}`),
    'None.',
  )}`;
  return text;
}

async function write(folder: string, format: 'json' | 'markdown', text: string, body: ReportBody): Promise<string[]> {
  await ensureFolder(folder);
  const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`;
  const population = Object.entries(body.counts).map(([name, count]) => `${name},${count}\n`);
  const exceptions = body.exceptions.map(({ kind, at, code }) => `${at},${kind},${code}\n`);
  const contents: readonly (readonly [name: string, text: string])[] = [
    [format === 'json' ? 'report.json' : 'report.md', text],
    ['population.csv', `what,count\n${population.join('')}`],
    ['exceptions.csv', `at,kind,code\n${exceptions.join('')}`],
    ['drills.json', json({ drills: body.drills, recoveries: body.recoveries })],
    ['coverage.json', json(body.coverage)],
  ];
  const paths: string[] = [];
  for (const [name, content] of contents) {
    const path = join(folder, name);
    await writeFileAtomic(path, content, { mode: 0o600 });
    paths.push(path);
  }
  return paths;
}
