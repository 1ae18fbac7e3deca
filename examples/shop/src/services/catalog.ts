import { openSecrets } from './secrets.js';
import { required, startService } from './service.js';

const service = await startService();
const orders = required('ORDERS_URL');
const secrets = await openSecrets();

/** Version 2 brings discounts: `on` works, `faulty` is a release with a bug, which is slow and fails one time in ten. */
const discounts = process.env['SHOP_DISCOUNTS'] ?? 'off';

/** The credential as it is at this moment, mostly from the cache, which follows what the operator writes. */
async function authorization(): Promise<Record<string, string>> {
  const credential = await secrets.getOrThrow('shop/orders-credential');
  return { authorization: `Bearer ${credential.reveal()}` };
}

function discounted(price: number): Promise<number> {
  return service.apm.trace('apply discount', async () => {
    if (discounts !== 'faulty') return Math.round(price * 0.95);
    await new Promise((resolve) => setTimeout(resolve, 150));
    if (Math.random() < 0.1) throw new Error('The discount table has no row for this product.');
    return Math.round(price * 0.95);
  });
}

await service.serve(
  {
    'GET /products/:sku': async ({ parameter }) => {
      const stock = await service.call('orders', 'GET', `${orders}/stock/${encodeURIComponent(parameter)}`, {
        headers: await authorization(),
      });
      if (stock.status !== 200) return { status: 502, body: { error: 'no stock figure' } };
      const price = 100 + Number(parameter.replace(/\D/g, '')) * 10;
      const shown = discounts === 'off' ? price : await discounted(price);
      return { status: 200, body: { sku: parameter, price: shown, ...(stock.body as object) } };
    },
    'POST /orders': async (request) => {
      const answer = await service.call('orders', 'POST', `${orders}/orders`, {
        headers: await authorization(),
        body: await request.json(),
      });
      return answer.status < 500 ? answer : { status: 502, body: { error: 'the order was not taken' } };
    },
  },
  { ready: async () => true, stop: () => secrets.stop() },
);
