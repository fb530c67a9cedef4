// The real Claude Code client at a pinned version, and a home in which it starts without asking anything.
// The client is installed once by npm, as its platform package, into the repository's node_modules/.cache.

import { execFile } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Environment } from "../temp-home.ts";
import type { FakeApi } from "./fake-api.ts";

export type ClientVersion = `2.1.${number}`;
/** The versions that the product is held to: the newest, one that was, the oldest with every road but the inbox socket. */
export const pinned: readonly ClientVersion[] = ["2.1.332", "2.1.329", "2.1.197"];
/** CLAUDEMESH_TEST_CLIENTS: `all` that are pinned, or a list like `2.1.224,2.1.260`. */
const asked = process.env.CLAUDEMESH_TEST_CLIENTS;
const given = asked === "all" ? pinned : (asked?.split(",") as ClientVersion[] | undefined);
/** For stories that need every road: the newest and the oldest, unless others are asked for. */
export const versions: readonly ClientVersion[] = given ?? ["2.1.332", "2.1.197"];
/** For stories on what differs between versions: each one. */
export const everyVersion: readonly ClientVersion[] = given ?? pinned;
/** For stories that do not depend on the client's version: the newest, unless others are asked for. */
export const anyVersion: readonly ClientVersion[] = given ?? pinned.slice(0, 1);

const fakeKey = "sk-ant-test-not-a-key-0123456789";

function cacheFolder(): string {
  const repository = fileURLToPath(new URL("../..", import.meta.url));
  return process.env.CLAUDEMESH_TEST_CACHE ?? join(repository, "node_modules", ".cache", "claudemesh");
}

function platformPackage(): string {
  const header = (process.report.getReport() as { header?: { glibcVersionRuntime?: string } }).header;
  const musl = process.platform === "linux" && !header?.glibcVersionRuntime ? "-musl" : "";
  return `@anthropic-ai/claude-code-${process.platform}-${process.arch}${musl}`;
}

/** The path of that version's `claude`; installs it first if it is not in the cache. Throws what npm said. */
export async function claudeBinary(version: ClientVersion): Promise<string> {
  const name = platformPackage();
  const folder = join(cacheFolder(), `claude-${version}`);
  const binary = join("node_modules", name, "claude");
  if (existsSync(join(folder, binary))) return join(folder, binary);
  mkdirSync(cacheFolder(), { recursive: true });
  const fresh = mkdtempSync(`${folder}.`);
  try {
    const quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock", "--loglevel=error"];
    await promisify(execFile)("npm", ["install", "--prefix", fresh, ...quiet, `${name}@${version}`], { cwd: fresh });
    rmSync(join(fresh, "node_modules", ".package-lock.json"), { force: true });
    // Another test process may have been faster: a folder with files in it is never replaced by rename.
    if (!existsSync(join(folder, binary))) renameSync(fresh, folder);
  } catch (error) {
    if (!existsSync(join(folder, binary))) throw error;
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return join(folder, binary);
}

export interface Seed {
  /** Folders that the client shall trust. */
  readonly trust: readonly string[];
  /** Content of settings.json; `permissions.defaultMode` is `default` unless it says otherwise. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Where the client's files go if not `<home>/.claude` (its CLAUDE_CONFIG_DIR). */
  readonly configDir?: string;
}

function readJson(file: string): Record<string, unknown> {
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>) : {};
}

/** Writes into a home what keeps every first-run dialog away, and nothing else. Keeps what is already there. */
export function seedHome(home: string, seed: Seed): void {
  const config = seed.configDir ?? join(home, ".claude");
  const state = join(seed.configDir ?? home, ".claude.json");
  const before = readJson(state);
  const projects = { ...(before.projects as Record<string, object> | undefined) };
  for (const folder of seed.trust) {
    const real = realpathSync(folder);
    projects[real] = { ...projects[real], hasTrustDialogAccepted: true };
  }
  const seen = { hasCompletedOnboarding: true, hasSeenAutoDefaultNudge: true, hasSeenAutoDefaultNotice: true };
  const customApiKeyResponses = { approved: [fakeKey.slice(-20)], rejected: [] };
  writeFileSync(state, JSON.stringify({ ...before, ...seen, customApiKeyResponses, projects }, null, 2));

  const file = join(config, "settings.json");
  mkdirSync(config, { recursive: true });
  const settings = { ...readJson(file), ...seed.settings };
  const permissions = { defaultMode: "default", ...(settings.permissions as object | undefined) };
  writeFileSync(file, `${JSON.stringify({ ...settings, permissions }, null, 2)}\n`);
}

/**
 * The client's whole environment: nothing is inherited. `path` are folders in front of the PATH. HTTPS goes to the
 * fake API as a proxy, which refuses and records it.
 */
export function clientEnv(
  home: string,
  api: Pick<FakeApi, "url">,
  extra: Environment = {},
  path: readonly string[] = [],
): Environment {
  return {
    HOME: home,
    PATH: [...path, dirname(process.execPath), "/usr/local/bin", "/usr/bin", "/bin"].join(":"),
    SHELL: "/bin/sh",
    LANG: "C.UTF-8",
    TERM: "xterm-256color",
    ANTHROPIC_BASE_URL: api.url,
    ANTHROPIC_API_KEY: fakeKey,
    HTTPS_PROXY: api.url,
    NO_PROXY: "127.0.0.1,localhost",
    DISABLE_AUTOUPDATER: "1",
    DISABLE_TELEMETRY: "1",
    DISABLE_ERROR_REPORTING: "1",
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL: "1",
    ...extra,
  };
}
