import { randomUUID } from 'node:crypto';
import { access, appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openSecrets } from './secrets.js';
import { required, startService } from './service.js';

const service = await startService();
const folder = required('SHOP_ORDERS_FOLDER');
const orderFile = join(folder, 'orders.jsonl');
const stockFile = join(folder, 'stock.json');
const secrets = await openSecrets();
const credential = secrets.handle('shop/orders-credential');
await credential.ready();
const stock = new Map<string, number>(
  Object.entries(JSON.parse(await readFile(stockFile, 'utf8')) as Record<string, number>),
);

/** Every credential that is valid at this moment: the current one, the one before in its grace time, and a pending one. */
function allowed(header: string | string[] | undefined): boolean {
  const text = typeof header === 'string' && header.startsWith('Bearer ') ? header.slice(7) : '';
  return credential.accepted.some((secret) => secret.equals(text));
}

const denied = { status: 401, body: { error: 'unknown credential' } };

await service.serve(
  {
    'GET /stock/:sku': async ({ parameter, headers }) => {
      if (!allowed(headers['authorization'])) return denied;
      return { status: 200, body: { stock: stock.get(parameter) ?? 0 } };
    },
    'POST /orders': async (request) => {
      if (!allowed(request.headers['authorization'])) return denied;
      const { sku, quantity } = (await request.json()) as { sku?: unknown; quantity?: unknown };
      if (typeof sku !== 'string' || typeof quantity !== 'number')
        return { status: 400, body: { error: 'sku and quantity are needed' } };
      const order = { id: randomUUID(), sku, quantity, at: new Date().toISOString() };
      await appendFile(orderFile, `${JSON.stringify(order)}\n`, { flush: true });
      service.log.info('order taken', { order: order.id });
      return { status: 201, body: order };
    },
  },
  {
    // Without its data the service must not take requests.
    ready: () =>
      Promise.all([access(orderFile), access(stockFile)]).then(
        () => true,
        () => false,
      ),
    stop: () => secrets.stop(),
  },
);
