import { createHash, type Hash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fsync,
  ftruncateSync,
  futimesSync,
  lchownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  realpathSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { codeOf, storageError } from '@mnops/core';
import { ensureFolder } from '@mnops/core/files';
import { drError } from '../codes.js';
import type { Pacer } from '../pacer.js';
import { hostPath, nameBytes, parseTime, unixMode } from '../repository/go-format.js';
import type { Repository } from '../repository/repository.js';
import type { TreeNode } from '../repository/tree.js';
import type { RestoreReport } from './restore-report.js';

/** What a tree is restored with. */
export interface TreeWriterOptions {
  readonly repository: Repository;
  readonly pacer: Pacer;
  readonly report: RestoreReport;
  /** Hashes by path below the snapshot's root; empty for points of other programs. */
  readonly hashes: ReadonlyMap<string, string>;
  /** Whether files are read again from the disk afterwards. */
  readonly verify: boolean;
}

const createFlags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | (constants.O_NOFOLLOW ?? 0);
const maxSyncsInFlight = 16;

/** What is looked at for zeros at once; a shorter rest is written. Most file systems have blocks of 4 KiB. */
const pieceBytes = 64 * 1_024;
const zeros = Buffer.alloc(pieceBytes);

/** Writes bytes at a position and leaves pieces of zeros as holes: a sparse file would not fit where it came from otherwise. */
function writeSparse(descriptor: number, bytes: Uint8Array, position: number): void {
  let from = 0;
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    if (!zeros.equals(bytes.subarray(at, at + pieceBytes))) continue;
    writeAll(descriptor, bytes.subarray(from, at), position + from);
    from = at + pieceBytes;
  }
  writeAll(descriptor, bytes.subarray(from), position + from);
}

function writeAll(descriptor: number, bytes: Uint8Array, position: number): void {
  for (let start = 0; start < bytes.length; ) {
    start += writeSync(descriptor, bytes, start, bytes.length - start, position + start);
  }
}

/** Whether a name stays in its folder. Names come from the repository, which somebody else may have written. */
export function safeName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name) && nameBytes(name).length <= 255;
}

/**
 * Writes a stored tree into a folder that is absent or empty.
 *
 * It never writes outside: every folder on the way was made by this call, every file is created exclusively, and links
 * are made last and never followed.
 */
export class TreeWriter {
  readonly #options: TreeWriterOptions;
  readonly #links: { readonly path: string; readonly place: string; readonly node: TreeNode }[] = [];
  readonly #folders: { readonly path: string; readonly place: string; readonly node: TreeNode }[] = [];
  readonly #written: { readonly path: string; readonly place: string; readonly sha256: string }[] = [];
  /** First path of each file with several names. */
  readonly #hardLinks = new Map<string, { readonly path: string; readonly content: string; readonly sha256: string }>();
  readonly #syncing = new Set<Promise<void>>();
  readonly #owner = process.geteuid?.() === 0;
  #syncFailure: unknown;

  constructor(options: TreeWriterOptions) {
    this.#options = options;
  }

  /**
   * @param place - Path of the tree below the snapshot's root, for messages and hashes.
   * @param self - The folder's own node, whose attributes the target gets.
   */
  async write(tree: string, folder: string, place: string, self?: TreeNode): Promise<void> {
    await ensureFolder(folder);
    const target = emptyFolder(folder);
    await this.#folder(tree, target, place);
    for (const link of this.#links) this.#link(link);
    await this.#settle(0);
    if (this.#options.verify) await this.#verify();
    if (self !== undefined) this.#folders.unshift({ path: target, place, node: self });
    for (const entry of this.#folders.reverse()) this.#attributes(entry);
  }

  async #folder(tree: string, path: string, place: string): Promise<void> {
    const { repository, report, pacer } = this.#options;
    const nodes = repository.loadTree(tree);
    if (nodes === undefined) {
      report.lose(place, 'The list of this folder is lost or damaged.');
      return;
    }
    for (const node of nodes) {
      const at = place === '' ? node.name : `${place}/${node.name}`;
      if (!safeName(node.name)) {
        report.lose(at, 'The name would lead out of the folder; nothing was written.');
        continue;
      }
      await this.#node(node, `${path}/${node.name}`, at);
      if (pacer.due()) await pacer.pause();
    }
  }

  async #node(node: TreeNode, path: string, place: string): Promise<void> {
    const { report } = this.#options;
    try {
      if (node.type === 'symlink') this.#links.push({ path, place, node });
      else if (node.type === 'file') await this.#file(node, path, place);
      else if (node.type !== 'dir') report.skip(place, `Nodes of type ${node.type} are not created.`);
      else if (node.subtree === undefined) report.lose(place, 'The folder has no list.');
      else {
        mkdirSync(hostPath(path), { mode: 0o700 });
        this.#folders.push({ path, place, node });
        await this.#folder(node.subtree, path, place);
      }
    } catch (error) {
      this.#lose(place, error);
    }
  }

  /** A name that is there already is one more name of the hostile kind; a full disk ends the restore. */
  #lose(place: string, error: unknown): void {
    const code = codeOf(error) ?? '';
    if (!/^E[A-Z0-9]+$/.test(code) || ['ENOSPC', 'EDQUOT', 'EROFS', 'EMFILE'].includes(code)) throw error;
    const message =
      code === 'EEXIST' ? 'The name stands twice in the list of its folder.' : `Cannot be written: ${code}.`;
    this.#options.report.lose(place, message);
  }

  async #file(node: TreeNode, path: string, place: string): Promise<void> {
    const { report } = this.#options;
    const content = node.content ?? [];
    const known = node.links > 1 ? this.#hardLinks.get(`${node.deviceId}:${node.inode}`) : undefined;
    if (known !== undefined && known.content === content.join()) {
      linkSync(hostPath(known.path), hostPath(path));
      this.#accept(path, place, node.size, known.sha256);
      return;
    }
    const descriptor = openSync(hostPath(path), createFlags, 0o600);
    let open = true;
    try {
      const sha256 = await this.#content(content, descriptor, node.size, place);
      if (sha256 === undefined) {
        unlinkSync(hostPath(path));
        return;
      }
      this.#fileAttributes(descriptor, node, place);
      if (node.links > 1)
        this.#hardLinks.set(`${node.deviceId}:${node.inode}`, { path, content: content.join(), sha256 });
      this.#accept(path, place, node.size, sha256);
      open = false;
      this.#sync(descriptor);
      await this.#settle(maxSyncsInFlight);
    } finally {
      if (open) closeSync(descriptor);
    }
    if (node.attributes !== undefined) report.skip(place, 'Extended attributes are not restored.');
  }

  /** The hash of what was written; `undefined` when it is not what was backed up. */
  async #content(
    content: readonly string[],
    descriptor: number,
    size: number,
    place: string,
  ): Promise<string | undefined> {
    const { repository, report, hashes, pacer } = this.#options;
    const hash: Hash | undefined = content.length > 1 ? createHash('sha256') : undefined;
    let written = 0;
    for (const id of content) {
      const bytes = repository.loadBlob('data', Buffer.from(id, 'hex'));
      if (bytes === undefined) {
        report.lose(place, 'A part of the content is lost or damaged.');
        return undefined;
      }
      writeSparse(descriptor, bytes, written);
      hash?.update(bytes);
      written += bytes.length;
      if (pacer.due()) await pacer.pause();
    }
    // A hole at the end has moved nothing yet.
    ftruncateSync(descriptor, written);
    const sha256 = hash?.digest('hex') ?? content[0] ?? createHash('sha256').digest('hex');
    const expected = hashes.get(place);
    if (written === size && (expected === undefined || expected === sha256)) return sha256;
    report.lose(place, 'The content is not what the backup read.');
    return undefined;
  }

  #accept(path: string, place: string, size: number, sha256: string): void {
    this.#options.report.file(place, size, sha256);
    this.#written.push({ path, place, sha256 });
  }

  #fileAttributes(descriptor: number, node: TreeNode, place: string): void {
    this.#try(place, 'owner', () => this.#owner && fchownSync(descriptor, node.uid, node.gid));
    this.#try(place, 'mode', () => fchmodSync(descriptor, unixMode(node.mode)));
    this.#try(place, 'time', () => futimesSync(descriptor, ...times(node)));
  }

  #attributes({ path, place, node }: { readonly path: string; readonly place: string; readonly node: TreeNode }): void {
    this.#try(place, 'owner', () => this.#owner && chownSync(hostPath(path), node.uid, node.gid));
    this.#try(place, 'mode', () => chmodSync(hostPath(path), unixMode(node.mode)));
    this.#try(place, 'time', () => utimesSync(hostPath(path), ...times(node)));
  }

  #link({ path, place, node }: { readonly path: string; readonly place: string; readonly node: TreeNode }): void {
    try {
      symlinkSync(hostPath(node.linkTarget ?? ''), hostPath(path));
    } catch (error) {
      this.#lose(place, error);
      return;
    }
    this.#try(place, 'owner', () => this.#owner && lchownSync(hostPath(path), node.uid, node.gid));
    this.#try(place, 'time', () => lutimesSync(hostPath(path), ...times(node)));
  }

  #try(place: string, what: string, run: () => unknown): void {
    try {
      run();
    } catch (error) {
      this.#options.report.skip(place, `The ${what} could not be set: ${codeOf(error) ?? 'unknown reason'}.`);
    }
  }

  #sync(descriptor: number): void {
    const done = new Promise<void>((resolve) => {
      fsync(descriptor, (error) => {
        this.#syncFailure ??= error ?? undefined;
        closeSync(descriptor);
        this.#syncing.delete(done);
        resolve();
      });
    });
    this.#syncing.add(done);
  }

  async #settle(atMost: number): Promise<void> {
    while (this.#syncing.size > atMost) await Promise.race(this.#syncing);
    if (this.#syncFailure !== undefined) throw this.#syncFailure;
  }

  /** Reads every file again: what counts is what stands on the disk. */
  async #verify(): Promise<void> {
    const { report, pacer } = this.#options;
    const buffer = Buffer.allocUnsafeSlow(1_048_576);
    for (const { path, place, sha256 } of this.#written) {
      const hash = createHash('sha256');
      let descriptor: number;
      try {
        descriptor = openSync(hostPath(path), constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
      } catch {
        report.skip(place, 'Its own mode keeps it from being read again.');
        continue;
      }
      try {
        for (let count = -1; count !== 0; ) {
          count = readSync(descriptor, buffer, 0, buffer.length, null);
          hash.update(buffer.subarray(0, count));
          if (pacer.due()) await pacer.pause();
        }
      } finally {
        closeSync(descriptor);
      }
      if (hash.digest('hex') === sha256) report.verifiedFiles += 1;
      else report.lose(place, 'Read again from the disk, the content is another.');
    }
  }
}

/** The real path of a folder that must be empty. */
function emptyFolder(folder: string): string {
  try {
    const path = realpathSync(folder);
    if (readdirSync(path).length === 0) return path;
  } catch (error) {
    throw storageError('restore into', folder, error);
  }
  throw drError('MNOPS_DR_TARGET_NOT_EMPTY', `Folder ${folder} is not empty.`, { details: { folder } });
}

/** Access and modification time in the seconds that `node:fs` takes: exact to about a quarter of a microsecond. */
function times({ mtime }: TreeNode): [number, number] {
  const time = parseTime(mtime);
  const seconds = time === undefined ? 0 : time.seconds + time.nanoseconds / 1e9;
  return [seconds, seconds];
}
