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
  /** the main worktree of the repository: the same for all worktrees that it knows of */
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
  const git = root === undefined ? undefined : gitDirs(root);
  const head = git && read(join(git.dir, "HEAD"));
  const common = git?.common ?? "";
  return {
    root: top,
    repo: basename(common) === ".git" ? dirname(common) : common || root,
    branch: head && oneLine(head.startsWith("ref: refs/heads/") ? head.slice(16, 272) : head.slice(0, 12)),
    name: nameIn(join(top, ".claudemesh.json")) ?? nameIn(join(top, ".claude-mesh.json")),
  };
}

/**
 * The git directory of a worktree and the one all worktrees share (gitrepository-layout(5)). A folder that only says
 * that it is another repository's, which that one does not know of, shares none: anybody can pack such a folder.
 */
function gitDirs(root: string): { dir: string; common: string | undefined } {
  const own = join(root, ".git");
  const pointer = /^gitdir: (.+)$/.exec(read(own) ?? "")?.[1];
  if (!pointer) return { dir: own, common: own };
  const dir = resolve(root, pointer);
  const common = read(join(dir, "commondir"));
  const back = read(join(dir, "gitdir"));
  return { dir, common: common && back && isSame(resolve(dir, back), own) ? resolve(dir, common) : undefined };
}

/** True if both paths are of one file, by whatever links. */
function isSame(one: string, other: string): boolean {
  const [a, b] = [one, other].map((path) => ignore(ODD, () => statSync(path)));
  return a !== undefined && a.ino === b?.ino && a.dev === b.dev;
}

function nameIn(file: string): string | undefined {
  const name = readJsonObject(file)?.name;
  return typeof name === "string" ? oneLine(name) || undefined : undefined;
}
