import { defineConfig } from "vitest/config";

// Two cores: real clients (apt, dnf) and RSA keys are slow, so limits are generous and files run two at a time.
export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
    pool: "forks",
    slowTestThreshold: 2_000,
  },
});
