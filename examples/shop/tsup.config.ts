import { defineConfig } from 'tsup';

/** Every program of the shop, side by side in `dist`. */
export default defineConfig({
  entry: {
    operator: 'src/operator/main.ts',
    load: 'src/load/main.ts',
    gateway: 'src/services/gateway.ts',
    catalog: 'src/services/catalog.ts',
    orders: 'src/services/orders.ts',
  },
  format: ['esm'],
  target: 'node20.19',
  platform: 'node',
  sourcemap: true,
  clean: true,
});
