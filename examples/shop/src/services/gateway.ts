import { required, startService } from './service.js';

const service = await startService();
const catalog = required('CATALOG_URL');

await service.serve(
  {
    'GET /products/:sku': ({ parameter }) =>
      service.call('catalog', 'GET', `${catalog}/products/${encodeURIComponent(parameter)}`),
    'POST /orders': async (request) =>
      service.call('catalog', 'POST', `${catalog}/orders`, { body: await request.json() }),
  },
  { ready: async () => true, stop: async () => undefined },
);
