// `claudemesh install`: one symlink to the plugin, one status line key where there is none, the node to run with.
// Invariant: everything that can refuse does so before anything is touched.

import { accessSync, constants, existsSync, readlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { unifiedDiff } from "../claude/diff.ts";
import { clearHalfMade, makeRemembered, rememberEdit } from "../claude/install-record.ts";
import {
  checkClaude,
  linkState,
  type OldSession,
  otherSettings,
  peekSettings,
  pluginFolder,
  type Scope,
  scopeOf,
  sessionsBefore,
} from "../claude/plugin.ts";
import { proveInstall } from "../claude/proof.ts";
import { isOurStatusLine, parseSettings, shellQuote, statusLineCommand, withStatusLine } from "../claude/settings.ts";
import { editSettings, mayWrite, parsing, readSettings } from "../claude/settings-file.ts";
import { ignore, MeshError, succeeds } from "../errors.ts";
import { replaceLink } from "../mesh/files.ts";
import { nodeLink, openHome } from "../mesh/home.ts";
import { print, say } from "../print.ts";

export { proveInstall };

/** One line of the report: what became of a path. */
interface Deed {
  action: "linked" | "edited" | "kept" | "unchanged";
  path: string;
}

interface Plan {
  scope: Scope;
  /** the settings text before and after; the same if the key is not ours to add */
  before: string | undefined;
  after: string | undefined;
  warnings: string[];
}

/**
 * Installs for the user, or with `project` for the project around the working directory; `dryRun` only says what it
 * would do. Exit status 1 if the proof fails. Throws MeshError BAD_SETTINGS, TRY_AGAIN, USAGE, BAD_HOME or FAILED.
 */
export async function run(_args: string[], options: Record<string, unknown>): Promise<void> {
  const plan = await makePlan(scopeOf(options.project === true));
  if (options.dryRun === true) return printDryRun(plan, options);
  const { scope, warnings } = plan;
  const restart = sessionsBefore(scope);
  const { did, backup } = carryOut(plan);
  const proof = await proveInstall(scope.link);
  if (!proof.ok) process.exitCode = 1;
  const lines = did.map((deed) => describe(deed, plan, backup));
  if (proof.ok) lines.push(`proved    ${proof.detail}`);
  for (const old of restart) lines.push(`restart   ${naming(old)}: began before this, has no plugin yet`);
  await print(options, { ok: proof.ok, did, proof, restart, warnings }, lines.join("\n"));
  if (options.json === true) return;
  if (!proof.ok) say(`the proof failed: ${proof.detail}`);
  for (const warning of warnings) say(warning);
}

async function makePlan(scope: Scope): Promise<Plan> {
  const { problem } = await checkClaude();
  const warnings = problem === undefined ? [] : [problem];
  if (linkState(scope.link) === "foreign")
    throw new MeshError(
      "FAILED",
      `can't link ${scope.link}: something that is not claudemesh's is there`,
      "move it away and run this again; nothing was touched",
    );
  refuseIfClosed(dirname(scope.link));
  const before = readSettings(scope.settings);
  const own = parsing(scope.settings, () => parseSettings(before ?? ""));
  const others = otherSettings(scope).map((path) => ({ path, settings: peekSettings(path) }));
  const off = [{ path: scope.settings, settings: own }, ...others];
  for (const { path, settings } of off)
    for (const key of ["disableAllHooks", "allowManagedHooksOnly"])
      if (settings[key] === true)
        warnings.push(`${path} has ${key}: hooks will not run, so nothing is shown to Claude by itself`);

  const elsewhere = others.find(({ settings }) => settings.statusLine !== undefined);
  const theirs = own.statusLine !== undefined && !isOurStatusLine(own.statusLine);
  const command = statusLineCommand(scope.link);
  const mend = `to see the badge in it, let it also run: sh ${shellQuote(`${scope.link}/hook`)} statusline`;
  let after: string | undefined = withStatusLine(before ?? "", command);
  if (theirs) warnings.push(`you have a status line of your own, it stays as it is; ${mend}`);
  else if (elsewhere && own.statusLine === undefined) {
    after = before;
    warnings.push(`${elsewhere.path} has a status line, so none was added; ${mend}`);
  } else if (after !== before && !mayWrite(scope.settings)) {
    after = before;
    warnings.push(`${scope.settings} is read-only, so no status line was added to it`);
  }
  if (/[\\/]_npx[\\/]/.test(pluginFolder()))
    warnings.push(
      "this claudemesh runs from npx's cache, which npm may empty: install it with `npm install -g claudemesh`",
    );
  if (scope.project !== undefined && existsSync(join(scope.project, ".git")))
    warnings.push(
      "keep .claude/skills/claudemesh and .claude/settings.local.json out of git: they hold paths of this machine",
    );
  return { scope, before, after, warnings };
}

/** Throws MeshError FAILED unless `dir`, or the folder that it would be made in, can be written to. */
function refuseIfClosed(dir: string): void {
  let at = dir;
  while (!existsSync(at) && at !== dirname(at)) at = dirname(at);
  if (succeeds(["EACCES", "EPERM", "EROFS"], () => accessSync(at, constants.W_OK | constants.X_OK))) return;
  throw new MeshError(
    "FAILED",
    `can't link ${dir}/claudemesh: ${at} can't be written to`,
    "make it writable and run this again; nothing was touched",
  );
}

function carryOut({ scope, before, after }: Plan): { did: Deed[]; backup: string | undefined } {
  openHome();
  clearHalfMade(scope.settings, scope.link);
  const did: Deed[] = [];
  try {
    makeRemembered(scope.settings, dirname(scope.link));
    did.push(link(scope.link, pluginFolder()));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new MeshError("FAILED", `can't link ${scope.link}: ${reason}`, "make its folder writable and run this again");
  }
  let backup: string | undefined;
  let edited = false;
  if (after !== before)
    edited = editSettings(scope.settings, (text) => {
      const next = withStatusLine(text ?? "", statusLineCommand(scope.link));
      if (next !== text) backup = rememberEdit(scope.settings, text, next);
      return next;
    });
  const ours = isOurStatusLine(peekSettings(scope.settings).statusLine);
  did.push({ action: edited ? "edited" : ours ? "unchanged" : "kept", path: scope.settings });
  did.push(link(nodeLink(), process.execPath));
  return { did, backup };
}

function link(path: string, target: string): Deed {
  const action = pointsAt(path, target) ? "unchanged" : "linked";
  replaceLink(path, target);
  return { action, path };
}

const pointsAt = (path: string, target: string) =>
  ignore(["ENOENT", "ENOTDIR", "EINVAL"], () => readlinkSync(path)) === target;

function describe({ action, path }: Deed, { scope }: Plan, backup?: string): string {
  const target = path === scope.link ? pluginFolder() : process.execPath;
  if (path !== scope.settings) return `${action.padEnd(9)} ${path} -> ${target}`;
  const what = { edited: "status line added", kept: "not edited", unchanged: "has our status line", linked: "" }[
    action
  ];
  return `${action.padEnd(9)} ${path}: ${what}${backup ? `; as it was: ${backup}` : ""}`;
}

async function printDryRun({ scope, before, after, warnings }: Plan, options: Record<string, unknown>): Promise<void> {
  const links = [
    { path: scope.link, target: pluginFolder() },
    { path: nodeLink(), target: process.execPath },
  ].filter(({ path, target }) => !pointsAt(path, target));
  const diff = unifiedDiff(scope.settings, before, after);
  const did = [
    ...links.map(({ path }) => ({ action: "linked", path })),
    ...(diff ? [{ action: "edited", path: scope.settings }] : []),
  ];
  const lines = links.map(({ path, target }) => `would link ${path} -> ${target}\n`);
  const data = { ok: true, dry_run: true, did, diff, restart: sessionsBefore(scope), warnings };
  await print(options, data, lines.join("") + diff || "nothing to do: everything is in place");
  if (options.json !== true) for (const warning of warnings) say(warning);
}

const naming = ({ pid, name, cwd }: OldSession) => `${name || "a session"} (pid ${pid}, ${cwd})`;
