// The status line for one launch, by --settings.

import { MeshError } from "../errors.ts";
import { otherSettings, peekSettings, pluginFolder, scopeOf } from "./plugin.ts";
import { statusLineCommand } from "./settings.ts";

/**
 * The arguments that give a launch our status line: none if `args` bring settings of the user's own (only the last
 * --settings counts) or there is a status line anywhere.
 */
export function badgeArguments(args: string[]): string[] {
  if (args.some((a) => a === "--settings" || a.startsWith("--settings="))) return [];
  const user = scopeOf(false);
  let files = [user.settings, ...otherSettings(user)];
  try {
    const project = scopeOf(true);
    files = [...files, project.settings, ...otherSettings(project)];
  } catch (error) {
    if (!(error instanceof MeshError) || error.code !== "USAGE") throw error;
  }
  if (files.some((path) => "statusLine" in peekSettings(path))) return [];
  const statusLine = { type: "command", command: statusLineCommand(pluginFolder()), refreshInterval: 2 };
  return ["--settings", JSON.stringify({ statusLine })];
}
