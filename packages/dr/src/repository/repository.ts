import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { systemClock } from '@mnops/core';
import { ensureFolder } from '@mnops/core/files';
import type { Clock } from '@mnops/core/spi';
import { drError } from '../codes.js';
import type { BlobIndex, BlobType } from './blob-index.js';
import { canCompress, compress, expand } from './compression.js';
import { type Envelope, envelope } from './envelope.js';
import type { RepositoryFinding } from './finding.js';
import { encodeIndex } from './index-file.js';
import { type LoadedIndex, loadIndex } from './index-loader.js';
import { defaultScryptCost, newMasterKey, type ScryptCost, sealKeyFile } from './key-file.js';
import { type LockContent, lockRepository, type RepositoryLock } from './lock.js';
import { PackStore } from './pack-store.js';
import { copiesFolder, type FileKind, RepositoryFolder } from './repository-folder.js';
import { decodeSnapshot, type Snapshot } from './snapshot.js';
import { decodeTree, type TreeNode } from './tree.js';
import { type RepositoryConfig, readConfig, type UnlockedKey, unlock } from './unlock.js';

/** How a repository is opened or made. */
export interface RepositoryOptions {
  readonly folder: string;
  readonly passphrase: string;
  /** Default true: blobs are compressed where this Node can. */
  readonly compression?: boolean | undefined;
  /** Cost of a new key file. */
  readonly scryptCost?: ScryptCost | undefined;
  readonly clock?: Clock | undefined;
}

/** The example polynomial of restic's design document. Our cuts do not depend on it; restic's own backups here will. */
const polynomial = '25b468838dcb75';

/** One repository of restic's format, version 1 (to read) or 2. */
export class Repository {
  readonly folder: RepositoryFolder;
  readonly envelope: Envelope;
  readonly keyId: string;
  /** Absent when both the file and its copy are damaged: reading still works. */
  readonly config: RepositoryConfig | undefined;
  readonly #openFindings: readonly RepositoryFinding[];
  readonly #compression: boolean;
  readonly #clock: Clock;
  readonly #unlocked: UnlockedKey;
  readonly #options: RepositoryOptions;
  readonly #damagedPacks: Set<string>;
  #index: LoadedIndex | undefined;

  private constructor(
    folder: RepositoryFolder,
    unlocked: UnlockedKey,
    options: RepositoryOptions,
    damagedPacks = new Set<string>(),
  ) {
    const { compression = true, clock = systemClock() } = options;
    this.folder = folder;
    this.#unlocked = unlocked;
    this.#options = options;
    this.#damagedPacks = damagedPacks;
    this.keyId = unlocked.keyId;
    this.envelope = envelope(unlocked.key);
    const { config, findings } = readConfig(folder, this.envelope);
    this.config = config;
    this.#openFindings = [...unlocked.findings, ...findings];
    this.#compression = compression && canCompress() && config?.version === 2;
    this.#clock = clock;
  }

  /** Whether a folder holds a repository: `empty` also when it is absent. */
  static state(folder: string): 'empty' | 'repository' | 'foreign' {
    const files = new RepositoryFolder(folder);
    const names = files.topNames();
    if (names.some((name) => ['config', 'keys', copiesFolder].includes(name))) {
      // A kill between the key and the config of a new repository leaves keys alone: nothing was ever stored under them.
      const begun = !files.has('config') && files.list('snapshots').length === 0 && files.list('data').length === 0;
      return begun && !files.has(join(copiesFolder, 'config')) ? 'empty' : 'repository';
    }
    return names.length === 0 ? 'empty' : 'foreign';
  }

  /** Makes a new repository; its configuration file is written last. */
  static async create(options: RepositoryOptions): Promise<Repository> {
    const folder = new RepositoryFolder(options.folder);
    const clock = options.clock ?? systemClock();
    const key = newMasterKey();
    const config = { version: 2, id: randomBytes(32).toString('hex'), chunker_polynomial: polynomial };
    const sealedConfig = Buffer.concat(envelope(key).seal(Buffer.from(JSON.stringify(config))));
    await ensureFolder(options.folder);
    for (const name of ['data', 'index', 'keys', 'locks', 'snapshots', copiesFolder]) {
      await ensureFolder(join(options.folder, name));
    }
    // Left behind by a kill before the configuration was written: they would open to a key that nothing is sealed with.
    for (const id of folder.list('keys')) await folder.remove('keys', id);
    const cost = options.scryptCost ?? defaultScryptCost;
    const keyFile = await sealKeyFile(key, options.passphrase, new Date(clock.now()), cost);
    const keyId = await folder.store('keys', keyFile);
    await folder.write(join(copiesFolder, 'keys', keyId), keyFile);
    await folder.write('config', sealedConfig);
    await folder.write(join(copiesFolder, 'config'), sealedConfig);
    return new Repository(folder, { key, keyId, findings: [] }, options);
  }

  /**
   * Opens a repository.
   *
   * @throws {MnopsError} `MNOPS_DR_WRONG_KEY`, `MNOPS_DR_KEY_FILE_DAMAGED`, `MNOPS_DR_REPOSITORY_UNSUPPORTED`.
   */
  static async open(options: RepositoryOptions): Promise<Repository> {
    const folder = new RepositoryFolder(options.folder);
    const repository = new Repository(folder, await unlock(folder, options.passphrase), options);
    const version = repository.config?.version ?? 2;
    if (version !== 1 && version !== 2) {
      throw drError('MNOPS_DR_REPOSITORY_UNSUPPORTED', `The repository has version ${version}.`, {
        details: { version },
      });
    }
    return repository;
  }

  /** The same repository for another piece of work at the same time, without asking for the passphrase again. */
  again(): Repository {
    const folder = new RepositoryFolder(this.folder.path);
    return new Repository(folder, this.#unlocked, this.#options, this.#damagedPacks);
  }

  /** Everything found damaged while opening and while reading the index. */
  get findings(): readonly RepositoryFinding[] {
    return [...this.#openFindings, ...(this.#index?.findings ?? [])];
  }

  /** The index, read when it is first needed. */
  get index(): LoadedIndex {
    this.#index ??= loadIndex(this.folder, this.envelope, (id) => this.readJson('index', id));
    return this.#index;
  }

  get blobs(): BlobIndex {
    return this.index.blobs;
  }

  /** Whether new backups may count on the blobs of a pack. */
  isSound(pack: number): boolean {
    const known = this.index.packs[pack];
    return known?.present === true && (this.#damagedPacks.size === 0 || !this.#damagedPacks.has(known.id));
  }

  /** From now on new backups store anew what only this pack holds. */
  distrust(packId: string): void {
    this.#damagedPacks.add(packId);
  }

  /** Takes notice of what other programs added or removed. Cheap when nothing changed. */
  refresh(): void {
    this.folder.close();
    const { files, packs, unlisted } = this.index;
    const now = this.folder.list('index');
    const present = new Set(this.folder.list('data'));
    const known = packs.filter((pack) => pack.present);
    const same = now.length === files.size && now.every((id) => files.has(id)) && unlisted.length === 0;
    if (same && present.size === known.length && known.every((pack) => present.has(pack.id))) return;
    this.#index = loadIndex(this.folder, this.envelope, (id) => this.readJson('index', id));
  }

  /** Seals a value into a file of its kind and returns its id. */
  async storeJson(kind: FileKind, text: string): Promise<string> {
    const plain = Buffer.from(text, 'utf8');
    const packed = this.#compression ? compress(plain) : undefined;
    const body = packed === undefined ? plain : Buffer.concat([Buffer.of(2), packed]);
    return await this.folder.store(kind, Buffer.concat(this.envelope.seal(body)));
  }

  /** The value in a sealed file; `undefined` when it is absent or damaged. */
  readJson(kind: FileKind, id: string): unknown {
    const bytes = this.folder.read(this.folder.nameOf(kind, id));
    if (bytes === undefined || createHash('sha256').update(bytes).digest('hex') !== id) return undefined;
    const plain = this.envelope.open(bytes);
    const raw = plain?.[0] === 2 ? expand(plain.subarray(1)) : plain;
    if (raw === undefined) return undefined;
    try {
      return JSON.parse(raw.toString('utf8'));
    } catch {
      return undefined;
    }
  }

  /** All snapshots, oldest first; damaged ones are findings. */
  snapshots(): {
    readonly snapshots: { readonly id: string; readonly snapshot: Snapshot }[];
    readonly findings: RepositoryFinding[];
  } {
    const snapshots: { id: string; snapshot: Snapshot }[] = [];
    const findings: RepositoryFinding[] = [];
    for (const id of this.folder.list('snapshots')) {
      const snapshot = decodeSnapshot(this.readJson('snapshots', id));
      if (snapshot !== undefined) snapshots.push({ id, snapshot });
      else findings.push(damagedSnapshot(this.folder.nameOf('snapshots', id)));
    }
    snapshots.sort((a, b) => Date.parse(a.snapshot.time) - Date.parse(b.snapshot.time) || (a.id < b.id ? -1 : 1));
    return { snapshots, findings };
  }

  /** The plain bytes of a blob from whichever pack still holds it whole; `undefined` when none does. */
  loadBlob(type: BlobType, id: Buffer): Buffer | undefined {
    for (const { pack, offset, length, rawLength } of this.blobs.locations(type, id)) {
      const known = this.index.packs[pack];
      if (known === undefined || !known.present || known.id === '') continue;
      const plain = this.envelope.open(this.folder.readPack(known.id, offset, length));
      const raw = plain !== undefined && rawLength > 0 ? expand(plain, rawLength) : plain;
      if (raw !== undefined && createHash('sha256').update(raw).digest().equals(id)) return raw;
    }
    return undefined;
  }

  /** The nodes of a tree; `undefined` when it is lost or damaged. */
  loadTree(id: string): TreeNode[] | undefined {
    const bytes = this.loadBlob('tree', Buffer.from(id, 'hex'));
    return bytes === undefined ? undefined : decodeTree(bytes);
  }

  /** Begins to write. One writer at a time and instance; hold a lock meanwhile. */
  writer(): PackStore {
    if (this.config === undefined) {
      throw drError('MNOPS_DR_REPOSITORY_DAMAGED', 'The configuration file of the repository is missing or damaged.', {
        details: { file: join(this.folder.path, 'config') },
      });
    }
    if (this.config.version !== 2) {
      throw drError('MNOPS_DR_REPOSITORY_UNSUPPORTED', 'Repositories of version 1 can be restored, not written.');
    }
    return new PackStore(this.envelope, this.index, {
      compression: this.#compression,
      writePack: async ({ id, bytes }) => {
        await this.folder.store('data', bytes, id);
      },
      writeIndex: async (packs) => {
        (this.index.files as Set<string>).add(await this.storeJson('index', encodeIndex(packs)));
      },
    });
  }

  /** Holds a shared lock, as every program does that reads packs for long or writes. */
  async lock(signal: AbortSignal): Promise<RepositoryLock> {
    const files = {
      list: () => this.folder.list('locks'),
      read: (id: string) => this.readJson('locks', id) as LockContent | undefined,
      write: (content: LockContent) => this.storeJson('locks', JSON.stringify(content)),
      remove: (id: string) => this.folder.remove('locks', id),
    };
    return await lockRepository(files, this.#clock, signal);
  }

  close(): void {
    this.folder.close();
  }
}

function damagedSnapshot(object: string): RepositoryFinding {
  return {
    kind: 'snapshot',
    severity: 'error',
    object,
    message: 'The snapshot file is damaged; this recovery point is lost, the others are not.',
    remedy: 'Bring the file back from another copy of the repository, or remove it.',
  };
}
