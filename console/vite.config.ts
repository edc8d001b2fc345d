// The build: a static bundle, and in development a proxy so that the browser sees one origin, as in production.
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const api = process.env.SNAPVM_API ?? "http://localhost:8787";

export default defineConfig({
  plugins: [react()],
  build: { target: "es2023", sourcemap: false, chunkSizeWarningLimit: 700 },
  server: {
    port: 5173,
    strictPort: true,
    // The API accepts changes from its own origin only.
    proxy: { "/v1": { target: api, ws: true, changeOrigin: true, headers: { origin: api } } },
    fs: { allow: [".."] },
  },
});
