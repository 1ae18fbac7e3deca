import { generateKeyPairSync } from 'node:crypto';
import { type AuditCheckpoint, type AuditEntry, openAuditLog, verifyAuditLines } from '@mnops/core/audit';
import { type Campaign, defineCampaign } from '@mnops/tooling/prove';

const campaign: Campaign = defineCampaign({
  package: 'core',
  suite: 'audit',
  bar: 'C4',
  name: 'audit chains with records changed, dropped, swapped, repeated, re-dated or cut off',
  goal: 'every change is found',
  defaultCount: 20_000,
  shortCount: 500,
  async run({ count, random, fail, progress }) {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const lines: string[] = [];
    const checkpoints: AuditCheckpoint[] = [];
    const log = await openAuditLog({
      service: 'prove',
      signingKey: privateKey,
      anchor: (checkpoint) => void checkpoints.push(checkpoint),
      sink: { append: async (entries: readonly AuditEntry[]) => void lines.push(...entries.map(({ line }) => line)) },
    });
    for (let index = 0; index < 40; index += 1) {
      const details = { index, note: `"${index}", \\ and ü` };
      await log.append({
        actor: `actor-${index % 3}`,
        operation: 'read',
        target: `t/${index}`,
        outcome: 'ok',
        details,
      });
    }
    await log.close();
    const options = { publicKey, checkpoints };
    if (!(await verifyAuditLines(lines, options)).intact) fail('the untouched chain is not intact');
    const below = (limit: number): number => Math.floor(random() * limit);
    for (let done = 0; done < count; done += 1) {
      const changed = tamper(lines, below);
      if (changed.join('\n') !== lines.join('\n') && (await verifyAuditLines(changed, options)).intact) {
        fail(`trial ${done}: a change was not found`);
      }
      progress(done + 1);
    }
  },
});

function tamper(lines: readonly string[], below: (limit: number) => number): readonly string[] {
  const changed = [...lines];
  // The last line is a checkpoint of its own: nothing outside knows it, so its loss alone cannot be seen.
  const at = below(lines.length - 1);
  const line = lines[at] as string;
  switch (below(6)) {
    case 0:
      changed.splice(at, 1 + below(lines.length - 1 - at));
      break;
    case 1:
      changed.splice(at, 0, lines[below(lines.length)] as string);
      break;
    case 2: {
      const other = below(lines.length);
      [changed[at], changed[other]] = [lines[other] as string, line];
      break;
    }
    case 3:
      changed[at] = line.replace(/"at":"\d{4}/, '"at":"1999');
      break;
    case 4:
      changed.length = at;
      break;
    default: {
      const index = below(line.length);
      const letter = String.fromCharCode(line.charCodeAt(index) ^ (1 << below(7)));
      changed[at] = line.slice(0, index) + letter + line.slice(index + 1);
    }
  }
  return changed;
}

export default campaign;
