import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Call } from '@mnops/core/spi';
import { type Pacer, pacer } from '../pacer.js';
import { expand } from '../repository/compression.js';
import type { RepositoryFinding } from '../repository/finding.js';
import { readPackHeader } from '../repository/pack-header.js';
import type { Repository } from '../repository/repository.js';

/** How deep a validation looks. `structure`: every file but the content of packs, and all trees. `full`: every byte. */
export type ValidationDepth = 'structure' | 'full';

/** A path of a recovery point that cannot be restored as it was. */
export interface DamagedPath {
  /** Id of the point. */
  readonly point: string;
  readonly path: string;
}

/** What a validation found. */
export interface CheckOutcome {
  readonly state: 'intact' | 'damaged';
  readonly findings: readonly RepositoryFinding[];
  /** Paths that the findings cost, by point; at most 10,000 are listed. */
  readonly damagedPaths: readonly DamagedPath[];
  readonly points: number;
  readonly packs: number;
  readonly blobs: number;
  /** Bytes of packs that were read. */
  readonly readBytes: number;
}

/** How far a validation has come. */
export interface CheckProgress {
  readonly step: 'packs' | 'points';
  readonly done: number;
  readonly total: number;
}

const maxListedPaths = 10_000;
const hashStepBytes = 4_194_304;

/** Looks through a repository and names everything that is not as it was written. */
export async function runCheck(
  repository: Repository,
  depth: ValidationDepth,
  call: Call,
  onProgress: (progress: CheckProgress) => void,
): Promise<CheckOutcome> {
  repository.refresh();
  let progress: CheckProgress = { step: 'packs', done: 0, total: 0 };
  const pace = pacer(call.signal, () => onProgress(progress));
  const { snapshots, findings: snapshotFindings } = repository.snapshots();
  const findings: RepositoryFinding[] = [...repository.findings, ...snapshotFindings];
  const packs = repository.index.packs.filter(({ present }) => present);
  const lost = new Set<string>();
  let readBytes = 0;
  const byPack = blobsByPack(repository);
  for (const [number, { id, present }] of repository.index.packs.entries()) {
    if (!present) continue;
    progress = { step: 'packs', done: number, total: packs.length };
    const expected = byPack.get(number) ?? [];
    readBytes += await checkPack(repository, id, expected, depth, findings, lost, pace);
  }
  const walk = new PointWalk(repository, lost, findings, pace);
  for (const [number, { id, snapshot }] of snapshots.entries()) {
    progress = { step: 'points', done: number, total: snapshots.length };
    await walk.point(id, snapshot.tree);
  }
  const damaged = walk.damagedPaths.length > 0 || findings.some(({ severity }) => severity === 'error');
  return {
    state: damaged ? 'damaged' : 'intact',
    findings,
    damagedPaths: walk.damagedPaths,
    points: snapshots.length,
    packs: packs.length,
    blobs: repository.blobs.count,
    readBytes,
  };
}

interface ExpectedBlob {
  readonly type: string;
  readonly id: string;
  readonly offset: number;
  readonly length: number;
  readonly rawLength: number;
}

function blobsByPack(repository: Repository): Map<number, ExpectedBlob[]> {
  const byPack = new Map<number, ExpectedBlob[]>();
  for (const { type, id, location } of repository.blobs.entries()) {
    const { pack, offset, length, rawLength } = location;
    const list = byPack.get(pack) ?? [];
    list.push({ type, id: id.toString('hex'), offset, length, rawLength });
    byPack.set(pack, list);
  }
  return byPack;
}

async function checkPack(
  repository: Repository,
  id: string,
  expected: readonly ExpectedBlob[],
  depth: ValidationDepth,
  findings: RepositoryFinding[],
  lost: Set<string>,
  pace: Pacer,
): Promise<number> {
  const { folder, envelope } = repository;
  const size = folder.packSize(id);
  const least = expected.reduce((end, { offset, length }) => Math.max(end, offset + length), 0);
  if (size < least) findings.push(packFinding(folder.nameOf('data', id), 'The pack is shorter than the index says.'));
  if (depth === 'structure') {
    for (const blob of expected) if (blob.offset + blob.length > size) lost.add(`${blob.type} ${blob.id}`);
    if (size < least) repository.distrust(id);
    if (pace.due()) await pace.pause();
    return 0;
  }
  const bytes = folder.readPack(id, 0, Math.max(size, 0));
  const whole = bytes.length === size && (await hashOf(bytes, pace)) === id;
  if (whole && readPackHeader(size, (from, length) => bytes.subarray(from, from + length), envelope) === undefined) {
    findings.push(packFinding(folder.nameOf('data', id), 'The list of blobs at the end of the pack is damaged.'));
  }
  if (!whole)
    findings.push(packFinding(folder.nameOf('data', id), 'The bytes of the pack are not those that were written.'));
  for (const { type, id: blob, offset, length, rawLength } of expected) {
    const plain = offset + length <= bytes.length ? envelope.open(bytes.subarray(offset, offset + length)) : undefined;
    const raw = plain !== undefined && rawLength > 0 ? expand(plain, rawLength) : plain;
    const right = raw !== undefined && createHash('sha256').update(raw).digest('hex') === blob;
    if (!right) {
      lost.add(`${type} ${blob}`);
      repository.distrust(id);
    }
    if (pace.due()) await pace.pause();
  }
  return bytes.length;
}

async function hashOf(bytes: Buffer, pace: Pacer): Promise<string> {
  const hash = createHash('sha256');
  for (let start = 0; start < bytes.length; start += hashStepBytes) {
    hash.update(bytes.subarray(start, start + hashStepBytes));
    if (pace.due()) await pace.pause();
  }
  return hash.digest('hex');
}

function packFinding(object: string, message: string): RepositoryFinding {
  return {
    kind: 'pack',
    severity: 'error',
    object,
    message,
    remedy: 'Bring the file back from another copy of the repository; paths that it costs are listed.',
  };
}

/** Follows points into their trees, each tree once. */
class PointWalk {
  readonly damagedPaths: DamagedPath[] = [];
  readonly #repository: Repository;
  readonly #lost: ReadonlySet<string>;
  readonly #findings: RepositoryFinding[];
  readonly #pace: Pacer;
  readonly #sound = new Set<string>();
  readonly #named = new Set<string>();

  constructor(repository: Repository, lost: ReadonlySet<string>, findings: RepositoryFinding[], pace: Pacer) {
    this.#repository = repository;
    this.#lost = lost;
    this.#findings = findings;
    this.#pace = pace;
  }

  async point(id: string, tree: string): Promise<void> {
    await this.#tree(id, tree, '');
  }

  /** Whether everything below is whole; what is not is listed. */
  async #tree(point: string, tree: string, place: string): Promise<boolean> {
    if (this.#sound.has(tree)) return true;
    const nodes = this.#repository.loadTree(tree);
    if (nodes === undefined) {
      this.#name('tree', tree, 'The list of a folder is lost or damaged.');
      return this.#lose(point, place === '' ? '/' : `${place}/`);
    }
    let whole = true;
    for (const node of nodes) {
      const at = place === '' ? node.name : `${place}/${node.name}`;
      if (node.type === 'dir') {
        if (node.subtree === undefined) whole = this.#lose(point, at);
        else if (!(await this.#tree(point, node.subtree, at))) whole = false;
      } else if (!this.#file(node.content ?? [])) whole = this.#lose(point, at);
      if (this.#pace.due()) await this.#pace.pause();
    }
    if (whole) this.#sound.add(tree);
    return whole;
  }

  #file(content: readonly string[]): boolean {
    let whole = true;
    for (const id of content) {
      if (this.#stored(id)) continue;
      this.#name('blob', id, 'A part of file content is lost or damaged.');
      whole = false;
    }
    return whole;
  }

  #stored(id: string): boolean {
    const bytes = Buffer.from(id, 'hex');
    const { packs } = this.#repository.index;
    if (!this.#repository.blobs.has('data', bytes, (pack) => packs[pack]?.present === true)) return false;
    // Another pack may hold the same blob whole.
    return !this.#lost.has(`data ${id}`) || this.#repository.loadBlob('data', bytes) !== undefined;
  }

  #lose(point: string, path: string): false {
    if (this.damagedPaths.length < maxListedPaths) this.damagedPaths.push({ point, path });
    return false;
  }

  #name(kind: 'tree' | 'blob', id: string, message: string): void {
    if (this.#named.has(id)) return;
    this.#named.add(id);
    const remedy = 'Back up again: what is still there is stored anew. Else bring the pack back from another copy.';
    this.#findings.push({ kind, severity: 'error', object: join(kind, id), message, remedy });
  }
}
