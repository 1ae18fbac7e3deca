import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { memorySnapshot } from '../testing/memory-snapshot.js';
import { testCall } from '../testing/test-call.js';
import { checkRestored, manifestSink, portablePath, readManifest } from './manifest.js';

async function* parts(...texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text);
}

/** A snapshot of a file given whole and one given in parts. */
async function saved(): Promise<ReturnType<typeof memorySnapshot>> {
  const snapshot = memorySnapshot();
  const sink = manifestSink(snapshot.sink, testCall());
  await sink.add({ path: 'a/whole', modifiedMs: 7, mode: 0o640 }, Buffer.from('whole'));
  await sink.add({ path: 'parts', size: 6 }, parts('par', 'ts.'));
  await sink.finish();
  return snapshot;
}

describe('the manifest of a snapshot', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mnops-manifest-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const notWhole = (why: string) => ({
    code: 'MNOPS_CORE_STORAGE_UNREADABLE',
    message: `The snapshot of the shop is not whole: ${why}.`,
    remedy: 'Restore from another snapshot.',
  });

  it('counts a restored folder that is whole, and leaves nothing of its own in it', async () => {
    const { reader } = await saved();
    await reader.restoreTree(folder);
    expect(await checkRestored(folder, 'the shop', testCall())).toEqual({ files: 2, bytes: 11 });
    expect((await readdir(folder, { recursive: true })).sort()).toEqual(['a', 'a/whole', 'parts']);
    expect(await readFile(join(folder, 'parts'), 'utf8')).toBe('parts.');
  });

  it('keeps what the entry says of a file', async () => {
    const { reader } = await saved();
    const entries: unknown[] = [];
    for await (const entry of reader.entries()) entries.push(entry);
    expect(entries).toContainEqual({ path: 'a/whole', size: 5, mode: 0o640, modifiedMs: 7 });
  });

  it.each<[string, (files: Map<string, Buffer>) => unknown]>([
    ['parts is missing', (files) => files.delete('parts')],
    ['parts differs', (files) => files.set('parts', Buffer.from('part'))],
    ['parts differs', (files) => files.set('parts', Buffer.from('parts!'))],
    ['manifest.json is missing', (files) => files.clear()],
    ['manifest.json is damaged', (files) => files.set('manifest.json', Buffer.from('{"version":1,'))],
    ['manifest.json is damaged', (files) => files.set('manifest.json', Buffer.from('{"version":1,"files":null}'))],
    [
      'manifest.json is damaged',
      (files) => files.set('manifest.json', Buffer.from('{"version":1,"files":{"parts":null}}')),
    ],
    [
      'manifest.json is damaged',
      (files) => files.set('manifest.json', Buffer.from('{"version":1,"files":{"../x":{"bytes":0,"crc32":0}}}')),
    ],
    ['manifest.json is of another version', (files) => files.set('manifest.json', Buffer.from('null'))],
    ['manifest.json is of another version', (files) => files.set('manifest.json', Buffer.from('{"version":2}'))],
  ])('says that %s', async (why, damage) => {
    const snapshot = await saved();
    damage(snapshot.files);
    await snapshot.reader.restoreTree(folder);
    await expect(checkRestored(folder, 'the shop', testCall())).rejects.toMatchObject(notWhole(why));
  });

  it('names a file that cannot be read', async () => {
    const { reader } = await saved();
    await reader.restoreTree(folder);
    await rm(join(folder, 'parts'));
    await mkdir(join(folder, 'parts'));
    await expect(checkRestored(folder, 'the shop', testCall())).rejects.toMatchObject({
      code: 'MNOPS_CORE_STORAGE_FAILED',
      message: 'Cannot read parts: EISDIR.',
    });
  });

  it('checks a file on its way out of a snapshot', async () => {
    const { reader, files } = await saved();
    const manifest = await readManifest(reader, 'the shop', testCall());
    expect(manifest.paths).toEqual(['a/whole', 'parts']);
    const through = async (path: string, body: AsyncIterable<Uint8Array>): Promise<string> => {
      let text = '';
      for await (const part of manifest.checked(path, body)) text += Buffer.from(part).toString();
      return text;
    };
    expect(await through('parts', reader.read('parts'))).toBe('parts.');
    await expect(through('parts', parts('parts'))).rejects.toMatchObject(notWhole('parts differs'));
    await expect(through('other', parts(''))).rejects.toMatchObject(notWhole('manifest.json does not name other'));
    files.clear();
    await expect(readManifest(reader, 'the shop', testCall())).rejects.toMatchObject(
      notWhole('manifest.json is missing'),
    );
  });

  it('ends with the reason of an aborted call', async () => {
    const reason = new Error('enough');
    const call = testCall({ signal: AbortSignal.abort(reason) });
    const snapshot = await saved();
    await snapshot.reader.restoreTree(folder);
    await expect(checkRestored(folder, 'the shop', call)).rejects.toBe(reason);
    await expect(manifestSink(memorySnapshot().sink, call).add({ path: 'a' }, Buffer.from('a'))).rejects.toBe(reason);
    await writeFile(join(folder, 'manifest.json'), '{}');
    await expect(readManifest(snapshot.reader, 'the shop', call)).rejects.toBe(reason);
  });
});

it('names files with slashes where the system has backslashes, and leaves a backslash that is part of a name', () => {
  expect(portablePath('traces\\one.trc', '\\')).toBe('traces/one.trc');
  expect(portablePath('traces/one.trc', '\\')).toBe('traces/one.trc');
  expect(portablePath('odd\\name', '/')).toBe('odd\\name');
});
