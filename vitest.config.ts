import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url))

// Tests run on the sources, so a stale build can never make one pass.
export default defineConfig({
  resolve: {
    alias: [
      { find: /^@vertex\/mpc$/, replacement: at('mpc/src/index.ts') },
      { find: /^@vertex\/mpc\/native$/, replacement: at('mpc/native/index.ts') },
      { find: /^@vertex\/mpc\/testing$/, replacement: at('mpc/src/testing.ts') },
      { find: /^@vertex\/directory\/(\w+)$/, replacement: at('directory/src/$1/index.ts') },
      { find: /^@vertex\/sdk$/, replacement: at('sdk/src/index.node.ts') },
      { find: /^@vertex\/sdk\/node$/, replacement: at('sdk/src/node.ts') },
    ],
  },
  test: {
    include: [
      'test/**/*.test.ts',
      'mpc/test/**/*.test.ts',
      'sdk/test/**/*.test.ts',
      'directory/test/**/*.test.ts',
    ],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
