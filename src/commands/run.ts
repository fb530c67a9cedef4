// `claudemesh [claude args…]`: claude in the supervisor. Nothing is installed and nothing of Claude Code's is touched:
// the plugin folder is handed over on the command line.

import { otherSettings, peekSettings, pluginFolder, scopeOf } from "../claude/plugin.ts";
import { statusLineCommand } from "../claude/settings.ts";
import { errnoOf, MeshError } from "../errors.ts";
import { openHome } from "../mesh/home.ts";
import { findProgram } from "../terminal/pty.ts";

/** Runs claude with these arguments; the exit status is claude's. Throws MeshError NO_CLAUDE, NO_PTY or BAD_HOME. */
export async function run(args: string[]): Promise<void> {
  const name = process.env.CLAUDEMESH_CLAUDE_BIN || "claude";
  const file = findProgram(name);
  if (!file)
    throw new MeshError(
      "NO_CLAUDE",
      `can't start ${name}: ${name.includes("/") ? "no such program" : "it is not on PATH"}`,
      "install Claude Code (npm install -g @anthropic-ai/claude-code), or set CLAUDEMESH_CLAUDE_BIN to its path",
    );
  openHome();
  const program = {
    file,
    args: [`--plugin-dir=${pluginFolder()}`, ...badge(args), ...args],
    env: { ...process.env, CLAUDEMESH_SUPERVISOR: String(process.pid), CLAUDEMESH_NODE: process.execPath },
    cwd: process.cwd(),
  };
  process.exitCode = process.stdin.isTTY && process.stdout.isTTY ? await supervised(program) : await plain(program);
}

type Program = { file: string; args: string[]; env: NodeJS.ProcessEnv; cwd: string };

async function plain({ file, args, env }: Program): Promise<number> {
  const { spawnPlain } = await import("../terminal/plain.ts");
  return spawnPlain(file, args, env);
}

async function supervised(program: Program): Promise<number> {
  const { supervise } = await import("../terminal/supervisor.ts");
  const session = await supervise(program);
  const { status } = await session.exited;
  return status;
}

/** The status line by --settings, unless the user passes settings of their own or has a status line anywhere. */
function badge(args: string[]): string[] {
  if (args.some((a) => a === "--settings" || a.startsWith("--settings="))) return [];
  const user = scopeOf(false);
  let files = [user.settings, ...otherSettings(user)];
  try {
    const project = scopeOf(true);
    files = [...files, project.settings, ...otherSettings(project)];
  } catch (error) {
    if (errnoOf(error) !== "USAGE") throw error;
  }
  if (files.some((path) => "statusLine" in peekSettings(path))) return [];
  const statusLine = { type: "command", command: statusLineCommand(pluginFolder()), refreshInterval: 2 };
  return ["--settings", JSON.stringify({ statusLine })];
}
