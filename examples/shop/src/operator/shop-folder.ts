import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ContainerOrchestrationManager, local } from '@mnops/orchestration';

/** Where a run keeps its things. Keys lie apart from what they open. */
export interface ShopFolder {
  readonly root: string;
  readonly orders: string;
  readonly vault: string;
  readonly vaultKey: string;
  readonly secrets: string;
  readonly logs: string;
  readonly orchestration: string;
  readonly recovery: string;
}

/** The folders of a run below one root. */
export function shopFolder(root: string): ShopFolder {
  return {
    root,
    orders: join(root, 'data', 'orders'),
    vault: join(root, 'data', 'vault', 'shop.vault'),
    vaultKey: join(root, 'keys', 'vault.key'),
    secrets: join(root, 'data', 'secrets'),
    logs: join(root, 'data', 'logs'),
    orchestration: join(root, 'orchestration'),
    recovery: join(root, 'recovery'),
  };
}

/**
 * Ends what a killed run left behind: takes over its processes, removes them, and deletes its folder.
 *
 * @returns Services that were still there.
 */
export async function cleanUp(folder: ShopFolder): Promise<readonly string[]> {
  const left: string[] = [];
  const manager = orchestrator(folder);
  try {
    await manager.start();
    for await (const { name } of manager.list()) left.push(name);
    for (const name of left) await manager.remove(name);
  } finally {
    await manager.stop();
  }
  await rm(folder.root, { recursive: true, force: true });
  return left;
}

/** The orchestrator on a run's folder: a later one on the same folder finds what an earlier one started. */
export function orchestrator(folder: ShopFolder): ContainerOrchestrationManager {
  return new ContainerOrchestrationManager({ app: 'shop', provider: local({ folder: folder.orchestration }) });
}

/** Makes the folders and the first data of the orders service. */
export async function prepareFolder(folder: ShopFolder): Promise<void> {
  for (const path of [folder.orders, join(folder.root, 'data', 'vault'), join(folder.root, 'keys'), folder.recovery]) {
    await mkdir(path, { recursive: true, mode: 0o700 });
  }
  const stock = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`sku-${index + 1}`, 1_000 - index]));
  await writeFile(join(folder.orders, 'stock.json'), JSON.stringify(stock, null, 2));
  await writeFile(join(folder.orders, 'orders.jsonl'), '');
}
