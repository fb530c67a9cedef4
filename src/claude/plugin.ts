// Where the plugin lies, where Claude Code looks for it, and whether it can run there. A folder or a symlink under
// `skills/` with a plugin.json loads by itself (2.1.157+), so one symlink is the whole installation of hooks, MCP
// server and commands. Invariant: nothing here writes.

import { execFile } from "node:child_process";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { ignore, MeshError } from "../errors.ts";
import { isObject, namesIn, readJsonObject } from "../mesh/files.ts";
import { isRunning } from "../mesh/process.ts";
import { projectOf } from "../mesh/project.ts";
import { packageFile } from "../package.ts";
import { claudeDir, isAtLeast } from "./session.ts";
import { parseSettings } from "./settings.ts";
import { claudesOnPath } from "./which.ts";

const OLDEST = "2.1.157";

/** What an installation is made of: a symlink to the plugin and one key in a settings file. */
export interface Scope {
  /** the project it is for; undefined: all of the user's sessions */
  project: string | undefined;
  link: string;
  settings: string;
}

/** A session that runs and began before the plugin was there. */
export interface OldSession {
  pid: number;
  name: string;
  cwd: string;
}

/** The plugin folder of this package. */
export function pluginFolder(): string {
  return packageFile("bin/plugin");
}

/**
 * The places of an installation for the user, or for the project around `cwd`. A project's key goes to
 * settings.local.json: it holds a path of this machine, and settings.json is what a team commits.
 * Throws MeshError USAGE if the project's `.claude` is the user's own.
 */
export function scopeOf(project: boolean, cwd: string = process.cwd()): Scope {
  const user = resolve(claudeDir());
  const root = project ? projectOf(cwd).root : undefined;
  const dir = root === undefined ? user : join(root, ".claude");
  if (root !== undefined && dir === user)
    throw new MeshError("USAGE", `can't use ${root} as a project: its .claude is your own`, "leave out --project");
  const settings = join(dir, root === undefined ? "settings.json" : "settings.local.json");
  return { project: root, link: join(dir, "skills", "claudemesh"), settings };
}

/** What lies where the symlink goes: nothing, a link of ours (also a dangling one), or something else. */
export function linkState(link: string): "none" | "ours" | "foreign" {
  const target = ignore(["ENOENT", "ENOTDIR"], () => (lstatSync(link).isSymbolicLink() ? readlinkSync(link) : ""));
  if (target === undefined) return "none";
  if (target === "") return "foreign";
  const plugin = readJsonObject(join(link, ".claude-plugin", "plugin.json"));
  if (plugin) return plugin.name === "claudemesh" ? "ours" : "foreign";
  const dangles = ignore(["ENOENT"], () => readdirSync(link)) === undefined;
  return dangles && /(^|[\\/])bin[\\/]plugin$/.test(target) ? "ours" : "foreign";
}

/** The settings files that Claude Code lays over or under the one of `scope`, weakest first. */
export function otherSettings(scope: Scope): string[] {
  const managed = process.platform === "darwin" ? "/Library/Application Support/ClaudeCode" : "/etc/claude-code";
  const shared =
    scope.project === undefined
      ? []
      : [join(resolve(claudeDir()), "settings.json"), join(scope.project, ".claude", "settings.json")];
  return [...shared, join(managed, "managed-settings.json")];
}

/** A settings file for looking only: `{}` if it is missing or can't be read or parsed. */
export function peekSettings(path: string): Record<string, unknown> {
  try {
    return parseSettings(readFileSync(path, "utf8"));
  } catch {
    return {};
  }
}

/**
 * The version of the `claude` on PATH, or a sentence saying why it is not known; waits 5 s at most.
 * Throws MeshError FAILED where a linked plugin would not load: on Windows, or with a claude that is too old.
 */
export async function checkClaude(): Promise<{ version?: string; problem?: string }> {
  const instead = "start sessions with `claudemesh` instead of `claude`: it brings the hooks along";
  if (process.platform === "win32")
    throw new MeshError("FAILED", "can't link the plugin: Claude Code on Windows does not follow the symlink", instead);
  const known = await versionOnPath();
  if (known.version !== undefined && !isAtLeast(known.version, OLDEST))
    throw new MeshError(
      "FAILED",
      `can't link the plugin: claude ${known.version} is older than ${OLDEST} and would not load it`,
      `update claude (\`claude update\`), or ${instead}`,
    );
  return known;
}

async function versionOnPath(): Promise<{ version?: string; problem?: string }> {
  const needs = `the plugin needs ${OLDEST} or newer`;
  const found = claudesOnPath();
  for (const file of found) {
    try {
      const { stdout } = await promisify(execFile)(file, ["--version"], { timeout: 5_000 });
      // A script of that name that starts us.
      if (/^claudemesh \d/.test(stdout)) continue;
      const version = /\d+\.\d+\.\d+/.exec(stdout)?.[0];
      return version ? { version } : { problem: `\`claude --version\` names no version; ${needs}` };
    } catch {
      return { problem: `\`claude --version\` does not answer; ${needs}` };
    }
  }
  return { problem: `there is no \`claude\` on PATH${found.length ? " that is not claudemesh itself" : ""}; ${needs}` };
}

/** The running sessions that `scope` is for and that began before its link was made: they load it when restarted. */
export function sessionsBefore(scope: Scope): OldSession[] {
  const dir = join(resolve(claudeDir()), "sessions");
  const linked = ignore(["ENOENT", "ENOTDIR"], () => lstatSync(scope.link).mtimeMs) ?? Number.POSITIVE_INFINITY;
  const files = namesIn(dir);
  return files.flatMap((file) => {
    const found = file.endsWith(".json") ? readJsonObject(join(dir, file)) : undefined;
    if (!isObject(found) || typeof found.pid !== "number" || typeof found.cwd !== "string") return [];
    const start = process.platform === "linux" && typeof found.procStart === "string" ? found.procStart : undefined;
    if (!isRunning(found.pid, start)) return [];
    if (typeof found.startedAt === "number" && found.startedAt > linked) return [];
    // A project's plugin loads only in sessions started in its root (seen in 2.1.329).
    if (scope.project !== undefined && found.cwd !== scope.project) return [];
    return [{ pid: found.pid, name: typeof found.name === "string" ? found.name : "", cwd: found.cwd }];
  });
}
