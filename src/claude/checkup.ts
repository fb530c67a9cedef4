// What `doctor` looks at around Claude Code: its version, our plugin, the switches that turn us off, each live session;
// and the hooks, really run, in a home made for that.

import { readlinkSync, realpathSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { ignore } from "../errors.ts";
import { type Check, fine, wrong } from "../mesh/checkup.ts";
import { isObject, readJsonObject } from "../mesh/files.ts";
import { heldIn } from "../mesh/held.ts";
import { mailbox, nodeLink } from "../mesh/home.ts";
import { isCollected, listNew } from "../mesh/maildir.ts";
import { messageIdOf } from "../mesh/message.ts";
import { isAlive, isLocal, listPeers, type Peer } from "../mesh/peers.ts";
import { postedNames } from "../mesh/posted.ts";
import { projectOf } from "../mesh/project.ts";
import { listens } from "./inbox-socket.ts";
import { checkClaude, linkState, otherSettings, peekSettings, pluginFolder, scopeOf } from "./plugin.ts";
import { rehearse, rehearseInbox } from "./proof.ts";
import { bellOf, hasMailServer, isAtLeast, sessionOf, stateOf } from "./session.ts";

/** Unread mail of an idle session that is older than so many ms should have woken it. */
const LONG = 60_000;

/** All checks around Claude Code; those that look into the mesh folder only if it is one to look into. Nothing of the user's is changed, and no session is rung. */
export async function checkClaudeCode(isHomeUsable: boolean): Promise<Check[]> {
  const version = await checkVersion();
  const ours = isHomeUsable ? [checkNode(), ...(await checkSessions())] : [];
  const bells = [...(await rehearse(pluginFolder())), await rehearseInbox()];
  return [version, checkPlugin(), checkSwitches(), checkTrust(), ...bells, ...ours];
}

async function checkVersion(): Promise<Check> {
  try {
    const { version, problem } = await checkClaude();
    if (version === undefined) return wrong("claude", problem ?? "unknown", "npm install -g @anthropic-ai/claude-code");
    const has = (least: string, what: string) => (isAtLeast(version, least) ? [what] : []);
    const bells = [...has("2.1.83", "watcher"), ...has("2.1.224", "inbox"), "supervisor", "hooks"];
    return fine("claude", `${version}, has the bells ${bells.join(", ")}`);
  } catch (error) {
    return wrong("claude", (error as Error).message, "claude update, or start sessions with `claudemesh`");
  }
}

function checkPlugin(): Check {
  const { link } = scopeOf(false);
  const state = linkState(link);
  if (state === "none") return fine("plugin", "not installed: only sessions started with `claudemesh` take part");
  if (state === "foreign")
    return wrong("plugin", `${link} is not claudemesh's`, "move it away, then: claudemesh install");
  const there = ignore(["ENOENT"], () => statSync(join(link, "hook"))) !== undefined;
  return there
    ? fine("plugin", `${link} -> ${readlinkSync(link)}`)
    : wrong("plugin", `${link} leads nowhere: the package has gone or moved`, "claudemesh install");
}

/** The node that the hooks start where PATH is bare. */
function checkNode(): Check {
  const target = ignore(["ENOENT", "EINVAL"], () => readlinkSync(nodeLink()));
  if (target === undefined) return fine("node", `${process.execPath} (none remembered: hooks take the one on PATH)`);
  return ignore(["ENOENT"], () => statSync(target))
    ? fine("node", target)
    : wrong("node", `${target}, which install remembered, has gone`, "claudemesh install");
}

function checkSwitches(): Check {
  const scope = scopeOf(false);
  const files = [scope.settings, ...otherSettings(scope), join(process.cwd(), ".claude", "settings.json")];
  const found = files.flatMap((path) => {
    const settings = peekSettings(path);
    const set = ["disableAllHooks", "allowManagedHooksOnly"].filter((key) => settings[key] === true);
    const inbound = settings.crossSessionInbound;
    if (inbound === "hold" || inbound === "refuse") set.push(`crossSessionInbound: ${inbound}`);
    return set.map((key) => `${key} in ${path}`);
  });
  return found.length
    ? wrong("switches", found.join("; "), "take it out: while it is set, mail is not shown by that road")
    : fine("switches", "nothing turns hooks or the inbox off");
}

/** In a folder that is not trusted Claude Code asks first, and runs no hook of a project's settings (docs: security). */
function checkTrust(): Check {
  const cwd = realpathSync(process.cwd());
  const projects = readJsonObject(join(process.env.CLAUDE_CONFIG_DIR || homedir(), ".claude.json"))?.projects;
  const isTrusted = (dir: string): boolean => {
    const project = isObject(projects) ? projects[dir] : undefined;
    if (isObject(project) && project.hasTrustDialogAccepted === true) return true;
    return dirname(dir) !== dir && isTrusted(dirname(dir));
  };
  if (isTrusted(cwd)) return fine("trust", `${cwd} is trusted`);
  const link = join(projectOf(cwd).root ?? cwd, ".claude", "skills", "claudemesh");
  return link !== scopeOf(false).link && linkState(link) === "ours"
    ? wrong(
        "trust",
        `${cwd} is not trusted, so the plugin of this project does not run`,
        "start claude here, and trust it",
      )
    : fine("trust", `${cwd} is not trusted yet: claude asks when it is started here`);
}

async function checkSessions(): Promise<Check[]> {
  const live = listPeers().filter((peer) => isAlive(peer) && isLocal(peer));
  return live.length ? Promise.all(live.map(checkSession)) : [fine("sessions", "none is there")];
}

async function checkSession(peer: Peer): Promise<Check> {
  const check = `session ${peer.name} (${peer.id})`;
  const { state, since } = stateOf(peer);
  const bell = bellOf(peer);
  if (!peer.hooked)
    return wrong(
      check,
      `${state}; no hook of claudemesh has run in it, so nothing wakes it: its mail waits for read_inbox`,
      "see that hooks are not switched off (disableAllHooks, allowManagedHooksOnly) and the plugin is on, then restart it",
    );
  if (!bell) return wrong(check, `${state}; no bell reaches it`, `see "bells" in config.json`);
  const held = heldIn(peer.id).map(({ letter, why }) => `${messageIdOf(letter.unique)} ${why}`);
  if (held.length)
    return wrong(check, `${state}; ${held.join("; ")}`, "give it any prompt; if that brings nothing, restart it");
  const onTheWay = postedNames(peer.id).filter((name) => isCollected(mailbox(peer.id), name)).length;
  if (state === "asking" && onTheWay)
    return fine(check, `asking its user; the client holds ${onTheWay} of its letters until that is answered`);
  const box = mailbox(peer.id);
  const waits = listNew(box).filter((name) => {
    const at = ignore(["ENOENT"], () => statSync(join(box, "new", name)).mtimeMs);
    return at !== undefined && Date.now() - Math.max(at, since.getTime()) > LONG;
  });
  if (state === "idle" && waits.length && bell !== "hooks")
    return wrong(
      check,
      `idle, and ${waits.length} unread for over a minute (notes wake nobody)`,
      "give it any prompt; then see the log",
    );
  if (peer.claude_session_file && !readJsonObject(peer.claude_session_file))
    return wrong(check, `${peer.claude_session_file} can't be read, so its state is a guess`, "restart the session");
  const socket = sessionOf(peer)?.socket;
  if (socket && !hasMailServer(peer))
    return wrong(check, "its mail server has ended: no inbox bell, no tools", "restart the session");
  if (socket && !(await listens(socket)))
    return wrong(check, `nobody listens at its inbox socket ${socket}`, "restart the session; other bells reach it");
  return fine(check, `${state}, would be reached by ${bell}`);
}
