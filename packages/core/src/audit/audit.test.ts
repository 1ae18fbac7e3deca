import { execFileSync } from 'node:child_process';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemFiles } from '../files/file-calls.js';
import { onOperation } from '../operations/on-operation.js';
import type { AuditEntry, AuditEvent, AuditRecord } from '../spi/audit.js';
import { fakeClock } from '../testing/fake-clock.js';
import { type AuditLog, openAuditLog, openAuditLogWith } from './audit-log.js';
import type { AuditCheckpoint } from './checkpoint.js';
import type { AuditQuery } from './query.js';
import { type AuditVerification, verifyAuditFolder, verifyAuditLines } from './verify.js';

let folder: string;
const open: AuditLog[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mnops-audit-'));
});
afterEach(async () => {
  for (const log of open.splice(0)) await log.close().catch(() => undefined);
  await rm(folder, { recursive: true, force: true });
});

async function opened(options: Parameters<typeof openAuditLog>[0] = {}): Promise<AuditLog> {
  const log = await openAuditLog({ folder, service: 'test', ...options });
  open.push(log);
  return log;
}

function event(target: string, more: Partial<AuditEvent> = {}): AuditEvent {
  return { actor: 'alice', operation: 'read', target, outcome: 'ok', ...more };
}

async function records(log: AuditLog, query?: AuditQuery): Promise<AuditRecord[]> {
  const found: AuditRecord[] = [];
  for await (const record of log.query(query)) found.push(record);
  return found;
}

async function fileNames(): Promise<string[]> {
  return (await readdir(folder)).filter((name) => name.endsWith('.jsonl')).sort();
}

async function onlyFile(): Promise<string> {
  return join(folder, (await fileNames())[0] as string);
}

describe('openAuditLog', () => {
  it('keeps what was appended, and answers queries', async () => {
    const log = await opened();
    expect(log.durable).toBe(true);
    await log.append(event('a'));
    await log.append(
      event('b', { actor: 'bob', outcome: 'denied', code: 'MNOPS_CORE_ACCESS_DENIED', details: { reason: 'no rule' } }),
    );
    await log.append(event('c'), { wait: false });
    expect((await records(log)).map((record) => record.target)).toEqual(['a', 'b', 'c']);
    expect(await records(log, { actor: 'bob' })).toEqual([
      {
        ...event('b', {
          actor: 'bob',
          outcome: 'denied',
          code: 'MNOPS_CORE_ACCESS_DENIED',
          details: { reason: 'no rule' },
        }),
        service: 'test',
        writer: log.writer,
        sequence: 2,
        at: expect.any(Date),
        previousHash: expect.stringMatching(/^[0-9a-f]{64}$/),
        hash: expect.stringMatching(/^[0-9a-f]{64}$/),
      },
    ]);
    expect(await records(log, { outcome: 'ok', limit: 1 })).toHaveLength(1);
    expect(await records(log, { from: new Date(Date.now() + 1_000) })).toEqual([]);
    expect(await log.verify()).toMatchObject({ intact: true, records: 3, findings: [] });
  });

  it('refuses a filter that it does not have, instead of answering with everything', async () => {
    const log = await opened();
    await expect(records(log, { path: 'a' } as never)).rejects.toThrow(
      /audit\.query: path: expected no such option.*Known names: actor, operation, target/,
    );
    await expect(records(log, { from: '2026-01-01' } as never)).rejects.toThrow(/from: expected/);
  });

  it('goes on with a chain at rest, and gives each process at the same time one of its own', async () => {
    const clock = fakeClock();
    const first = await opened({ clock });
    await first.append(event('1'));
    await clock.advance(1);
    const second = await opened({ clock });
    await second.append(event('2'));
    await clock.advance(1);
    expect(second.writer).not.toBe(first.writer);
    await first.append(event('3'));
    expect((await records(second)).map((record) => record.target)).toEqual(['1', '2', '3']);
    await first.close();
    await second.close();
    const third = await opened();
    expect([first.writer, second.writer]).toContain(third.writer);
    await third.append(event('4'));
    expect(await fileNames()).toHaveLength(2);
    expect(await third.verify()).toMatchObject({ intact: true, records: 4 });
  });

  it('refuses malformed events by field, and use after close', async () => {
    const log = await opened();
    await expect(log.append(event(''))).rejects.toThrow(/target/);
    await expect(log.append(event('a', { outcome: 'fine' as 'ok' }))).rejects.toThrow(/outcome/);
    await expect(log.append(event('a', { details: { big: 'x'.repeat(20_000) } }))).rejects.toThrow(/details/);
    await expect(log.append(event('a', { details: { bad: Number.NaN } }))).rejects.toMatchObject({
      code: 'MNOPS_CORE_CONFIG_INVALID',
    });
    await log.close();
    await log.close();
    await expect(log.append(event('a'))).rejects.toMatchObject({ code: 'MNOPS_CORE_CLOSED' });
  });

  it('is a bounded ring in memory without folder and sink, and is observable all the same', async () => {
    const events: unknown[] = [];
    const off = onOperation((one) => events.push([one.phase, one.context]), { packages: ['core'] });
    const log = await openAuditLog({ service: 'test', maxMemoryRecords: 3 });
    for (const target of ['1', '2', '3', '4', '5']) await log.append(event(target));
    off();
    expect(log.durable).toBe(false);
    expect((await records(log)).map((record) => record.target)).toEqual(['3', '4', '5']);
    expect(await log.verify()).toMatchObject({ intact: true, records: 3 });
    expect(events.at(-1)).toEqual([
      'end',
      { actor: 'alice', action: 'read', outcome: 'ok', durable: false, waited: false },
    ]);
    await log.close();
  });

  it('says in its events whether an append waits for the disk', async () => {
    const waited: unknown[] = [];
    const off = onOperation((one) => one.phase === 'end' && waited.push(one.context['waited']), { packages: ['core'] });
    const log = await opened();
    await log.append(event('a'));
    await log.append(event('b'), { wait: false });
    off();
    expect(waited).toEqual([true, false]);
  });

  it('gives a sink every line, from which the chain can be verified', async () => {
    const entries: AuditEntry[] = [];
    const sink = {
      append: async (some: readonly AuditEntry[]) => void entries.push(...some),
      lines: async function* () {
        for (const { line } of entries) yield line;
      },
    };
    const log = await openAuditLog({ sink });
    await log.append(event('a'));
    await log.append(event('b'));
    expect((await records(log)).map((record) => record.target)).toEqual(['a', 'b']);
    expect(await log.verify()).toMatchObject({ intact: true, records: 2 });
    await log.close();
    const lines = entries.map(({ line }) => line);
    expect(await verifyAuditLines(lines)).toMatchObject({ intact: true, records: 2 });
    lines.splice(1, 1);
    expect((await verifyAuditLines(lines)).findings.map(({ kind }) => kind)).toEqual(['dropped']);
  });
});

describe('failing storage', () => {
  it('refuses operations while nothing can be recorded, keeps what nobody waited for, and goes on later', async () => {
    let full = false;
    const calls = {
      ...systemFiles,
      write: async (...parts: Parameters<typeof systemFiles.write>) => {
        if (!full) return systemFiles.write(...parts);
        const [handle, bytes, from, position] = parts;
        // A part gets onto the disk, then it is full.
        await handle.write(bytes, from, Math.min(7, bytes.length - from), position);
        throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
      },
    };
    const log = await openAuditLogWith({ folder }, calls);
    open.push(log);
    await log.append(event('before'));
    full = true;
    await log.append(event('queued'), { wait: false });
    await expect(log.append(event('refused'))).rejects.toMatchObject({
      code: 'MNOPS_CORE_AUDIT_UNAVAILABLE',
      remedy: expect.stringContaining('audit: false'),
      cause: { code: 'MNOPS_CORE_STORAGE_FAILED' },
    });
    await expect(log.append(event('refused too'), { wait: false })).rejects.toMatchObject({
      code: 'MNOPS_CORE_AUDIT_UNAVAILABLE',
    });
    await expect(log.flush()).rejects.toMatchObject({ code: 'MNOPS_CORE_AUDIT_UNAVAILABLE' });
    expect((await records(log)).map((record) => record.target)).toEqual(['before']);
    full = false;
    await log.append(event('after'));
    expect((await records(log)).map((record) => record.target)).toEqual(['before', 'queued', 'after']);
    expect(await log.verify()).toMatchObject({ intact: true, records: 3 });
  });

  it('keeps the order of what nobody waited for, over more than one write', async () => {
    let full = false;
    const calls = {
      ...systemFiles,
      write: async (...parts: Parameters<typeof systemFiles.write>) => {
        if (full) throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
        return systemFiles.write(...parts);
      },
    };
    const log = await openAuditLogWith({ folder }, calls);
    open.push(log);
    full = true;
    const targets = Array.from({ length: 4_500 }, (_, index) => `${index}`);
    await Promise.all(targets.map((target) => log.append(event(target), { wait: false })));
    await expect(log.append(event('refused'))).rejects.toMatchObject({ code: 'MNOPS_CORE_AUDIT_UNAVAILABLE' });
    full = false;
    await log.append(event('after'));
    expect((await records(log)).map((record) => record.target)).toEqual([...targets, 'after']);
    expect(await log.verify()).toMatchObject({ intact: true, records: 4_501 });
  });

  it('takes a record back from the folder when the sink refuses it', async () => {
    let down = false;
    const sink = {
      append: async () => {
        if (down) throw new Error('down');
      },
    };
    const log = await opened({ sink });
    await log.append(event('a'));
    down = true;
    await expect(log.append(event('b'))).rejects.toMatchObject({ code: 'MNOPS_CORE_AUDIT_UNAVAILABLE' });
    down = false;
    await log.append(event('c'));
    expect((await records(log)).map((record) => record.target)).toEqual(['a', 'c']);
    expect((await log.verify()).intact).toBe(true);
  });

  it('does not open in a folder that cannot be written, and says what to do', async () => {
    const file = join(folder, 'file');
    await writeFile(file, '');
    await expect(openAuditLog({ folder: join(file, 'audit') })).rejects.toMatchObject({
      code: 'MNOPS_CORE_AUDIT_UNAVAILABLE',
      remedy: expect.stringContaining('`folder`'),
    });
    await chmod(file, 0o600);
  });
});

describe('verification', () => {
  const keys = generateKeyPairSync('ed25519');
  const privateKey = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const publicKey = keys.publicKey;

  async function sample(count = 6): Promise<{ file: string; lines: string[]; anchors: AuditCheckpoint[] }> {
    const anchors: AuditCheckpoint[] = [];
    const log = await opened({ signingKey: privateKey, anchor: (checkpoint) => void anchors.push(checkpoint) });
    for (let index = 0; index < count; index++) await log.append(event(`target-${index}`));
    await log.close();
    const file = await onlyFile();
    const lines = (await readFile(file, 'utf8')).trimEnd().split('\n');
    return { file, lines, anchors };
  }

  async function verifyLines(file: string, lines: readonly string[], more = {}): Promise<AuditVerification> {
    await writeFile(file, lines.map((line) => `${line}\n`).join(''));
    return verifyAuditFolder(folder, { publicKey, ...more });
  }

  function rehash(line: string): string {
    const body = line.replace(/,"hash":"[0-9a-f]{64}"\}$/, '}');
    return `${body.slice(0, -1)},"hash":"${createHash('sha256').update(body).digest('hex')}"}`;
  }

  it('needs nothing of this package: shell tools check the hashes', async () => {
    const { file, lines } = await sample();
    const script = `while IFS= read -r line; do
      want=$(printf '%s' "$line" | sed 's/.*,"hash":"\\([0-9a-f]*\\)"}$/\\1/')
      got=$(printf '%s' "$line" | sed 's/,"hash":"[0-9a-f]*"}$/}/' | tr -d '\\n' | sha256sum | cut -d' ' -f1)
      [ "$want" = "$got" ] || exit 1
      printf '%s' "$line" | grep -q "\\"previousHash\\":\\"$previous" || exit 2
      previous=$want
    done < "$1"`;
    execFileSync('bash', ['-c', script, 'check', file]);
    await writeFile(file, lines.join('\n').replace('target-3', 'target-9'));
    expect(() => execFileSync('bash', ['-c', script, 'check', file], { stdio: 'ignore' })).toThrow();
  });

  it('finds every changed byte', async () => {
    const { file, lines } = await sample(2);
    const whole = Buffer.from(`${lines.join('\n')}\n`);
    for (let index = 0; index < whole.length; index++) {
      const bytes = Buffer.from(whole);
      bytes[index] = (bytes[index] as number) ^ (1 << (index % 8));
      const changed = bytes.toString('utf8').replace(/\n$/, '').split('\n');
      if (index < whole.length - 1) expect((await verifyAuditLines(changed)).intact, `byte ${index}`).toBe(false);
      if (index % 13 !== 0 && index < whole.length - 1) continue;
      await writeFile(file, bytes);
      expect((await verifyAuditFolder(folder)).intact, `byte ${index} of the file`).toBe(false);
    }
  });

  it('checks chains of several megabytes, with any text in them', async () => {
    const log = await opened();
    const count = 6_000;
    for (let index = 0; index < count; index++) {
      const details = { text: 'ü€😀\u2028'.repeat(index % 40), lone: '\ud800' };
      await log.append(event(`${index}`, { actor: 'Zoë "quoted"\n', details }), { wait: false });
    }
    expect(await log.verify()).toMatchObject({ intact: true, records: count });
    await log.close();
    const bytes = await readFile(await onlyFile());
    expect(bytes.length).toBeGreaterThan(3 * 1024 * 1024);
    for (const share of [0.2, 0.5, 0.9]) {
      const changed = Buffer.from(bytes);
      const at = Math.floor(bytes.length * share);
      changed[at] = (changed[at] as number) ^ 1;
      await writeFile(await onlyFile(), changed);
      expect((await verifyAuditFolder(folder)).intact).toBe(false);
    }
  });

  it('finds every dropped, swapped, repeated and re-dated entry', async () => {
    const { file, lines } = await sample();
    expect(await verifyLines(file, lines)).toMatchObject({ intact: true, records: 6 });
    for (let index = 0; index < lines.length - 1; index++) {
      const dropped = lines.filter((_, at) => at !== index);
      expect((await verifyLines(file, dropped)).findings[0], `${index}`).toMatchObject({
        kind: 'dropped',
        sequence: index,
      });
      const swapped = [...lines];
      [swapped[index], swapped[index + 1]] = [lines[index + 1] as string, lines[index] as string];
      const kinds = (await verifyLines(file, swapped)).findings.map(({ kind }) => kind);
      expect(kinds).toEqual(expect.arrayContaining(['dropped', 'swapped']));
      const repeated = [...lines.slice(0, index + 1), lines[index] as string, ...lines.slice(index + 1)];
      expect((await verifyLines(file, repeated)).findings[0]).toMatchObject({ kind: 'swapped' });
      const redated = [...lines];
      redated[index] = (lines[index] as string).replace(/"at":"20/, '"at":"19');
      expect((await verifyLines(file, redated)).findings[0]).toMatchObject({ kind: 'changed', sequence: index });
      redated[index] = rehash(redated[index] as string);
      expect((await verifyLines(file, redated)).findings[0]).toMatchObject({ kind: 'broken', sequence: index + 1 });
    }
  });

  it('finds a chain whose end was rewritten without the last checkpoint', async () => {
    const { file, lines } = await sample();
    const forged = [lines[0] as string];
    for (const line of lines.slice(1, -1)) {
      const previous = /"hash":"([0-9a-f]{64})"\}$/.exec(forged.at(-1) as string)?.[1] as string;
      const changed = line
        .replace('target-2', 'target-x')
        .replace(/"previousHash":"[0-9a-f]{64}"/, `"previousHash":"${previous}"`);
      forged.push(rehash(changed));
    }
    expect(await verifyLines(file, forged)).toMatchObject({ intact: false, findings: [{ kind: 'unsigned' }] });
  });

  it('finds a rewritten chain by its signatures', async () => {
    const { file, lines } = await sample();
    const forged: string[] = [];
    let previous = '0'.repeat(64);
    for (const line of lines) {
      const changed = line
        .replace('target-2', 'target-x')
        .replace(/"previousHash":"[0-9a-f]{64}"/, `"previousHash":"${previous}"`);
      forged.push(rehash(changed));
      previous = /"hash":"([0-9a-f]{64})"\}$/.exec(forged.at(-1) as string)?.[1] as string;
    }
    expect((await verifyLines(file, forged, { publicKey: undefined })).intact).toBe(true);
    expect((await verifyLines(file, forged)).findings).toMatchObject([
      { kind: 'unsigned', sequence: lines.length - 1 },
    ]);
    const stripped = forged.filter((line) => !line.includes('"kind":"checkpoint"'));
    expect((await verifyLines(file, stripped)).intact).toBe(false);
    const other = generateKeyPairSync('ed25519').publicKey;
    expect((await verifyLines(file, lines, { publicKey: other })).findings.map(({ kind }) => kind)).toContain(
      'unsigned',
    );
  });

  it('finds a cut chain by what was anchored, and a torn end by itself', async () => {
    const { file, lines, anchors } = await sample();
    const last = anchors.at(-1) as AuditCheckpoint;
    expect(last).toMatchObject({ sequence: lines.length - 2, hash: expect.any(String), signature: expect.any(String) });
    const cut = lines.slice(0, -2);
    expect((await verifyLines(file, cut, { publicKey: undefined })).intact).toBe(true);
    expect((await verifyLines(file, cut)).findings).toMatchObject([{ kind: 'unsigned' }]);
    expect((await verifyLines(file, cut, { checkpoints: anchors })).findings[0]).toMatchObject({ kind: 'truncated' });
    await writeFile(file, lines.join('\n').slice(0, -5));
    expect((await verifyAuditFolder(folder)).findings).toMatchObject([{ kind: 'truncated' }]);
    await rm(file);
    expect((await verifyAuditFolder(folder, { checkpoints: anchors })).findings[0]).toMatchObject({ kind: 'missing' });
  });

  it('finds a cut or removed chain by the chains that were opened later', async () => {
    const [one, two] = [await opened(), await opened()];
    await one.append(event('1'));
    await two.append(event('2'));
    await Promise.all([one.close(), two.close()]);
    const resumed = await opened();
    await resumed.close();
    const other = (await fileNames()).find((name) => !name.startsWith(resumed.writer)) as string;
    const text = await readFile(join(folder, other), 'utf8');
    await writeFile(join(folder, other), text.slice(0, text.indexOf('\n') + 1));
    expect((await verifyAuditFolder(folder)).findings).toMatchObject([{ kind: 'truncated' }]);
    await rm(join(folder, other));
    expect((await verifyAuditFolder(folder)).findings).toMatchObject([{ kind: 'missing' }]);
  });

  it('goes on after a torn end, and says how much was cut', async () => {
    const { file, lines } = await sample();
    await writeFile(file, lines.join('\n').slice(0, -5));
    const log = await opened();
    await log.append(event('later'));
    expect(await log.verify()).toMatchObject({ intact: true });
    await log.close();
    expect(await readFile(file, 'utf8')).toMatch(/"tornBytes":[1-9]/);
  });

  it('leaves a chain whose end is damaged alone', async () => {
    const { file, lines } = await sample();
    await writeFile(file, `${lines.join('\n').slice(0, -3)}x"}\n`);
    const log = await opened();
    await log.append(event('later'));
    expect(await fileNames()).toHaveLength(2);
    expect((await log.verify()).findings).toMatchObject([{ kind: 'changed' }]);
  });

  it('keeps the order of appends under any mixture of waiting', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.boolean(), { maxLength: 60 }), async (waits) => {
        const log = await openAuditLog({ folder: join(folder, 'many'), flushMs: 1 });
        await Promise.all(waits.map((wait, index) => log.append(event(`${index}`), { wait })));
        await log.close();
        const found: string[] = [];
        for await (const record of log.query()) found.push(record.target);
        expect(found).toEqual(waits.map((_, index) => `${index}`));
        expect((await verifyAuditFolder(join(folder, 'many'))).intact).toBe(true);
        await rm(join(folder, 'many'), { recursive: true });
      }),
      { numRuns: 30 },
    );
  });

  it('wants an Ed25519 key, and does not quote another', async () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    await expect(openAuditLog({ folder, signingKey: rsa })).rejects.toMatchObject({ code: 'MNOPS_CORE_KEY_INVALID' });
    await expect(openAuditLog({ folder, signingKey: 'c4nary' })).rejects.toThrow(/^(?!.*c4nary)/);
  });
});
