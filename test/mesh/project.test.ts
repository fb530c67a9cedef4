import { execFileSync } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { projectOf } from "../../src/mesh/project.ts";
import { tempFolder } from "./temp-mesh.ts";

const git = (cwd: string, ...args: string[]) =>
  execFileSync("git", ["-c", "user.name=x", "-c", "user.email=x@y", "-c", "init.defaultBranch=main", ...args], {
    cwd,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env.PATH, HOME: cwd, GIT_CONFIG_NOSYSTEM: "1" },
  }).trim();

function repository(): string {
  const repo = join(tempFolder(), "repo");
  mkdirSync(join(repo, "deep/er"), { recursive: true });
  git(repo, "init");
  git(repo, "commit", "--allow-empty", "-m", "x");
  return repo;
}

describe("in a repository", () => {
  it("root, repo and branch are those of git, from any folder inside", () => {
    const repo = repository();
    for (const cwd of [repo, join(repo, "deep"), join(repo, "deep/er")])
      expect(projectOf(cwd)).toEqual({ root: repo, repo, branch: "main", name: undefined });
  });

  it("a branch may have slashes, and may have no commit yet", () => {
    const repo = repository();
    git(repo, "checkout", "-b", "fix/the/thing");
    expect(projectOf(repo).branch).toBe("fix/the/thing");
    git(repo, "checkout", "--orphan", "empty");
    expect(projectOf(repo).branch).toBe("empty");
  });

  it("a detached HEAD is the beginning of its commit", () => {
    const repo = repository();
    git(repo, "checkout", "--detach");
    expect(projectOf(repo).branch).toBe(git(repo, "rev-parse", "HEAD").slice(0, 12));
  });

  it("a worktree is of the same repository, with a root and a branch of its own", () => {
    const repo = repository();
    const tree = join(tempFolder(), "tree");
    git(repo, "worktree", "add", "-b", "side", tree);
    expect(projectOf(tree)).toMatchObject({ root: tree, repo, branch: "side" });
    expect(projectOf(repo)).toMatchObject({ root: repo, repo, branch: "main" });
  });

  it("worktrees of a bare repository are of one repository", () => {
    const bare = join(tempFolder(), "bare.git");
    git(tempFolder(), "clone", "--bare", repository(), bare);
    const trees = ["one", "two"].map((name) => join(tempFolder(), name));
    for (const [n, tree] of trees.entries()) git(bare, "worktree", "add", "-b", `side${n}`, tree);
    expect(trees.map((tree) => projectOf(tree).repo)).toEqual([bare, bare]);
  });

  it("a submodule is a project of its own", () => {
    const [outer, inner] = [repository(), repository()];
    git(outer, "-c", "protocol.file.allow=always", "submodule", "add", inner, "sub");
    const found = projectOf(join(outer, "sub"));
    expect(found).toMatchObject({ root: join(outer, "sub"), branch: "main" });
    expect(found.repo).not.toBe(outer);
  });

  it("a folder that says it is a worktree of a repository which does not know of it is of none but its own", () => {
    const repo = repository();
    const tree = join(tempFolder(), "tree");
    git(repo, "worktree", "add", "-b", "side", tree);
    const forged = tempFolder();
    for (const text of [`gitdir: ${repo}/.git\n`, `gitdir: ${repo}/.git/worktrees/tree\n`]) {
      writeFileSync(join(forged, ".git"), text);
      expect([text, projectOf(forged).repo]).toEqual([text, forged]);
    }
    const folder = join(tempFolder(), "evil");
    mkdirSync(join(folder, ".git"), { recursive: true });
    writeFileSync(join(folder, ".git/commondir"), `${repo}/.git\n`);
    expect(projectOf(folder).repo).toBe(folder);
  });

  it("a worktree that is reached through a link is the repository's all the same", () => {
    const repo = repository();
    const [tree, link] = [join(tempFolder(), "tree"), join(tempFolder(), "link")];
    git(repo, "worktree", "add", "-b", "side", tree);
    symlinkSync(tree, link);
    expect(projectOf(link).repo).toBe(repo);
  });

  it("the name is read in the root, not in the folder one stands in", () => {
    const repo = repository();
    writeFileSync(join(repo, ".claudemesh.json"), '{"name":"billing"}');
    writeFileSync(join(repo, "deep", ".claudemesh.json"), '{"name":"deep"}');
    expect(projectOf(join(repo, "deep/er")).name).toBe("billing");
  });
});

describe("outside", () => {
  it("the folder itself is the root, without repo and branch", () => {
    const dir = tempFolder();
    expect(projectOf(dir)).toEqual({ root: dir, repo: undefined, branch: undefined, name: undefined });
  });

  it("a folder that is not there is no error", () => {
    const dir = join(tempFolder(), "gone");
    expect(projectOf(dir)).toMatchObject({ root: dir, repo: undefined });
  });

  it.each([
    ["an empty .git file", ""],
    ["a .git file of nonsense", "what\n"],
    ["a .git file that points to nowhere", "gitdir: /nowhere/at/all\n"],
  ])("%s is no error", (_what, text) => {
    const dir = tempFolder();
    writeFileSync(join(dir, ".git"), text);
    expect(projectOf(dir)).toMatchObject({ root: dir, branch: undefined });
  });

  it("an empty .git folder is no error", () => {
    const dir = tempFolder();
    mkdirSync(join(dir, ".git"));
    expect(projectOf(dir)).toMatchObject({ root: dir, branch: undefined });
  });

  it.each([
    ['{"name":"a\\nb"}', "a b"],
    ['{"name":""}', undefined],
    ['{"name":["a"]}', undefined],
    ["[]", undefined],
    ["{", undefined],
  ])(".claudemesh.json of %s gives the name %j", (text, name) => {
    const dir = tempFolder();
    writeFileSync(join(dir, ".claudemesh.json"), text);
    expect(projectOf(dir).name).toBe(name);
  });

  it("a .claudemesh.json that is a folder is no error", () => {
    const dir = tempFolder();
    mkdirSync(join(dir, ".claudemesh.json"));
    expect(projectOf(dir).name).toBeUndefined();
  });
});
