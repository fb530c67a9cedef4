// Which program is claude: the first of that name on PATH that is not claudemesh itself, by a link or by a script.
// Invariant: no chain of starts is without end. A supervisor tells what it started, and what comes back from there to
// claudemesh, with no claude in between, takes the next one and starts it plainly: the supervisor above has it in care.

import { realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { MeshError } from "../errors.ts";
import { readJsonObject } from "../mesh/files.ts";
import { ancestors, environmentOf } from "../mesh/process.ts";
import { findPrograms } from "../program.ts";
import { isClaude } from "./session.ts";

/** The programs that the supervisors above have started as claude, one a line, the nearest last. */
const STARTED = "CLAUDEMESH_STARTED";
/** Where it can't be told who is above (detached, another namespace), a program is started in its own descent this often. */
const MOST_NESTED = 8;

export interface Found {
  file: string;
  /** We were started by a supervisor that took us for claude: it does what a supervisor does. */
  isBack: boolean;
  /** What the program must find in its environment. */
  env: NodeJS.ProcessEnv;
}

/** The claude to start. Throws MeshError NO_CLAUDE if there is none, or none that does not lead back to us. */
export function findClaude(): Found {
  const name = process.env.CLAUDEMESH_CLAUDE_BIN || "claude";
  const descent = descentOf();
  const isBack = descent === "back";
  const above = process.env[STARTED]?.split("\n") ?? [];
  const times = (file: string) => above.filter((one) => isSame(one, file)).length;
  const all = findPrograms(name);
  const file = all.find((one) => !isOurs(one) && times(one) < (isBack ? 1 : MOST_NESTED));
  if (file !== undefined) {
    const started = descent === "nested" ? [file] : [...above, file];
    return { file, isBack, env: { [STARTED]: started.join("\n") } };
  }
  const why = all[0]
    ? `${all.join(", ")} ${all.length > 1 ? "lead" : "leads"} back to claudemesh`
    : name.includes("/")
      ? "no such program"
      : "it is not on PATH";
  throw new MeshError(
    "NO_CLAUDE",
    `can't start ${name}: ${why}`,
    "install Claude Code (npm install -g @anthropic-ai/claude-code), or set CLAUDEMESH_CLAUDE_BIN to its path",
  );
}

/** Every `claude` on PATH that is not a link to claudemesh, in order. */
export const claudesOnPath = (): string[] => findPrograms("claude").filter((file) => !isOurs(file));

/**
 * `back`: the supervisor that our environment names is above us, and no claude between it and us. `nested`: one is.
 * `unknown`: there is no such supervisor, or it can't be seen.
 */
function descentOf(): "back" | "nested" | "unknown" {
  const supervisor = Number(process.env.CLAUDEMESH_SUPERVISOR);
  if (!(supervisor > 1)) return "unknown";
  for (const pid of ancestors()) {
    if (pid === supervisor) return hasClaudesMarks(supervisor) ? "nested" : "back";
    if (isClaude(pid)) return "nested";
  }
  return "unknown";
}

/** True if a claude has marked our environment that has not marked that of `pid`: it is between the two. */
const hasClaudesMarks = (pid: number): boolean =>
  ["CLAUDECODE", "CLAUDE_CODE_SESSION_ID"].some(
    (name) => process.env[name] !== undefined && process.env[name] !== environmentOf(pid, name),
  );

/** True if the file is the command of some claudemesh, ours or another copy. */
function isOurs(file: string): boolean {
  const real = realpathSync(file);
  return (
    basename(real) === "claudemesh.cjs" &&
    readJsonObject(join(dirname(real), "..", "package.json"))?.name === "claudemesh"
  );
}

function isSame(one: string, other: string): boolean {
  if (one === other) return true;
  try {
    return realpathSync(one) === realpathSync(other);
  } catch {
    return false;
  }
}
