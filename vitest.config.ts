import { defineConfig } from "vitest/config";

const real = ["test/real/**/*.test.ts", "test/stories/**/*.test.ts", "test/typist/**/*.test.ts"];

export default defineConfig({
  test: {
    pool: "forks",
    maxWorkers: 2,
    projects: [
      { extends: true, test: { name: "units", include: ["test/**/*.test.ts"], exclude: real, testTimeout: 20_000 } },
      {
        extends: true,
        test: { name: "stories", include: real, testTimeout: 120_000, hookTimeout: 60_000 },
      },
    ],
  },
});
