import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

export default defineConfig({
  base: '/backup/',
  plugins: [react()],
  build: {
    // The page is served with a strict Content-Security-Policy: nothing inline, not even a small picture.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // Compressed it is a third of that, below the 250 kB that a first visit may cost.
    chunkSizeWarningLimit: 700,
  },
  server: { proxy: { '/api': 'http://127.0.0.1:8000' } },
});
