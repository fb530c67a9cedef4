// `claudemesh uninstall`: takes away what `install` made and nothing else. Mail stays where it is.
// Invariant: settings that nobody else changed are given back byte for byte; otherwise only our key is cut out.

import { lstatSync, unlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { unifiedDiff } from "../claude/diff.ts";
import { clearHalfMade, forgetInstall, givenBack, installedSettings } from "../claude/install-record.ts";
import { linkState, peekSettings, type Scope, scopeOf } from "../claude/plugin.ts";
import { isOurStatusLine } from "../claude/settings.ts";
import { editSettings, mayWrite, parsing, readSettings } from "../claude/settings-file.ts";
import { ignore, MeshError } from "../errors.ts";
import { meshHome, nodeLink } from "../mesh/home.ts";
import { print, say } from "../print.ts";

interface Deed {
  action: "removed" | "edited";
  path: string;
}

/**
 * Uninstalls for the user, or with `project` for the project around the working directory; `dryRun` only says what
 * it would do. Throws MeshError BAD_SETTINGS or TRY_AGAIN, having touched nothing.
 */
export async function run(_args: string[], options: Record<string, unknown>): Promise<void> {
  const scope = scopeOf(options.project === true);
  const dryRun = options.dryRun === true;
  const before = readSettings(scope.settings);
  const after = parsing(scope.settings, () => givenBack(scope.settings, before));
  if (after !== before && !mayWrite(scope.settings))
    throw new MeshError(
      "BAD_SETTINGS",
      `can't edit ${scope.settings}: it is read-only`,
      "make it writable, or take the statusLine key out by hand; nothing was touched",
    );
  const warnings = warningsFor(scope, after);
  const diff = dryRun ? unifiedDiff(scope.settings, before, after) : "";
  const would: Deed[] = links(scope).map((path) => ({ action: "removed", path }));
  if (diff) would.unshift({ action: after === undefined ? "removed" : "edited", path: scope.settings });
  const did = dryRun ? would : carryOut(scope);
  const lines = did
    .filter(({ path }) => !dryRun || path !== scope.settings)
    .map(({ action, path }) => (dryRun ? `would remove ${path}\n` : `${action.padEnd(9)} ${path}\n`));
  if (did.length === 0) lines.push("nothing to do: claudemesh is not installed here\n");
  else if (!dryRun) lines.push(`kept      ${meshHome()}: your mail. Running sessions keep the plugin until they end\n`);
  await print(options, { ok: true, ...(dryRun ? { dry_run: true, diff } : {}), did, warnings }, lines.join("") + diff);
  if (options.json !== true) for (const warning of warnings) say(warning);
}

function carryOut(scope: Scope): Deed[] {
  clearHalfMade(scope.settings, scope.link);
  const did: Deed[] = [];
  // The key first: of all steps only this one can still fail, and then everything is as it was.
  let whole = false;
  const edited = editSettings(scope.settings, (text) => {
    const next = givenBack(scope.settings, text);
    whole = next === undefined;
    return next;
  });
  if (edited) did.push({ action: whole ? "removed" : "edited", path: scope.settings });
  for (const path of links(scope)) {
    unlinkSync(path);
    did.push({ action: "removed", path });
  }
  for (const path of forgetInstall(scope.settings)) did.push({ action: "removed", path });
  return did;
}

/** The symlinks to take away: the plugin's if it is ours, and the node's unless another installation needs it. */
function links(scope: Scope): string[] {
  const needed = installedSettings().some(
    (path) => path !== scope.settings && linkState(join(dirname(path), "skills", "claudemesh")) === "ours",
  );
  const node = ignore(["ENOENT", "ENOTDIR"], () => lstatSync(nodeLink()).isSymbolicLink()) === true;
  return [...(linkState(scope.link) === "ours" ? [scope.link] : []), ...(node && !needed ? [nodeLink()] : [])];
}

function warningsFor(scope: Scope, after: string | undefined): string[] {
  const warnings: string[] = [];
  if (linkState(scope.link) === "foreign") warnings.push(`${scope.link} is not ours and stays`);
  const { statusLine } = peekSettings(scope.settings);
  if (after?.includes("/skills/claudemesh/hook") && !isOurStatusLine(statusLine))
    warnings.push(
      `${scope.settings} has a status line of your own that calls claudemesh's hook; it now finds nothing there`,
    );
  return warnings;
}
