// What a working directory is: its project root, repository and branch, and the name it wants to be known by.
// Reads .git files itself: starting git costs more than all else a hook does.

import { statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { ignore } from "../errors.ts";
import { readJsonObject, readSmall } from "./files.ts";
import { oneLine } from "./message.ts";

export interface Project {
  /** the folder that holds .git, else the working directory itself */
  root: string;
  /** the main worktree of the repository: the same for all its worktrees */
  repo: string | undefined;
  branch: string | undefined;
  /** from .claudemesh.json or .claude-mesh.json in the root */
  name: string | undefined;
}

// The repository may be anybody's: its files are links to devices, its names longer than a path may be.
const ODD = ["ENOENT", "ENOTDIR", "EACCES", "ELOOP", "ENAMETOOLONG"];
const read = (path: string) => ignore(ODD, () => readSmall(path)?.trim());

/** Describes the project around `cwd`. Never throws for missing or odd files. */
export function projectOf(cwd: string): Project {
  let root: string | undefined;
  const folder = resolve(cwd.replaceAll("\0", ""));
  for (let dir = folder; ; dir = dirname(dir)) {
    if (ignore(ODD, () => statSync(join(dir, ".git")))) root = dir;
    if (root || dir === dirname(dir)) break;
  }
  const top = root ?? folder;
  const git = root && gitDirs(root);
  const head = git && read(join(git.dir, "HEAD"));
  return {
    root: top,
    repo: git && (basename(git.common) === ".git" ? dirname(git.common) : git.common),
    branch: head && oneLine(head.startsWith("ref: refs/heads/") ? head.slice(16, 272) : head.slice(0, 12)),
    name: nameIn(join(top, ".claudemesh.json")) ?? nameIn(join(top, ".claude-mesh.json")),
  };
}

/** The git directory of a worktree and the one all worktrees share (gitrepository-layout(5)). */
function gitDirs(root: string): { dir: string; common: string } {
  const pointer = /^gitdir: (.+)$/.exec(read(join(root, ".git")) ?? "")?.[1];
  const dir = pointer ? resolve(root, pointer) : join(root, ".git");
  const common = read(join(dir, "commondir"));
  return { dir, common: common ? resolve(dir, common) : dir };
}

function nameIn(file: string): string | undefined {
  const name = readJsonObject(file)?.name;
  return typeof name === "string" ? oneLine(name) || undefined : undefined;
}
