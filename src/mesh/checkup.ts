// What `doctor` looks at in the mesh folder. Nothing is mended here: each finding says how to.

import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, statSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { ignore, MeshError } from "../errors.ts";
import { readConfig } from "./config-file.ts";
import { createFile, namesIn } from "./files.ts";
import { addressBook, checkHome, configFile, deadBox, inboxRoot, logFile, meshHome, sessionsDir } from "./home.ts";
import { listNew } from "./maildir.ts";
import { readPeers } from "./peers.ts";

export interface Check {
  check: string;
  ok: boolean;
  detail: string;
  /** what to do about it; null if nothing is wrong */
  fix: string | null;
}

export const fine = (check: string, detail: string): Check => ({ check, ok: true, detail, fix: null });
export const wrong = (check: string, detail: string, fix: string): Check => ({ check, ok: false, detail, fix });

/** A lock that nobody has renewed for so many ms has outlived its holder. */
const OLD_LOCK = 10_000;
const TMP_AGE = 36 * 3_600_000;
const RECENT = 3_600_000;

/** Everything there is to see in the mesh folder. A folder that is not there yet is fine. */
export function checkMesh(now: number = Date.now()): Check[] {
  let home: string;
  try {
    home = meshHome();
    checkHome(home);
  } catch (error) {
    return [
      wrong("home", (error as Error).message, (error instanceof MeshError && error.hint) || "set CLAUDEMESH_HOME"),
    ];
  }
  if (!ignore(["ENOENT"], () => statSync(home))) return [fine("home", `${home} is not there yet: nobody has joined`)];
  return [
    checkDisk(home),
    checkModes(home),
    checkConfig(),
    checkPeers(),
    checkStale(home, now),
    checkDead(),
    checkWatches(now),
    checkInotify(),
  ];
}

/** Writes, flushes and removes a file: nothing less shows that mail can be delivered. */
function checkDisk(home: string): Check {
  const probe = join(home, `.doctor.${process.pid}.tmp`);
  try {
    createFile(probe, "probe\n");
    unlinkSync(probe);
    return fine("disk", `${home} takes a file, flushed`);
  } catch (error) {
    return wrong(
      "disk",
      `can't write to ${home}: ${(error as Error).message}`,
      "free some room, or mend the folder's rights",
    );
  }
}

function checkModes(home: string): Check {
  const open: string[] = [];
  const uid = process.getuid?.();
  const look = (path: string, depth: number) => {
    const found = ignore(["ENOENT"], () => lstatSync(path));
    if (!found || found.isSymbolicLink()) return;
    if ((found.mode & 0o077) !== 0 || (uid !== undefined && found.uid !== uid)) open.push(path);
    if (found.isDirectory() && depth > 0)
      for (const name of ignore(["ENOENT", "EACCES"], () => readdirSync(path)) ?? []) look(join(path, name), depth - 1);
  };
  // Mail itself lies a level deeper; its folders keep others out.
  look(home, 3);
  if (!open.length) return fine("modes", "all of it is yours, and closed to others");
  const more = open.length > 3 ? ` and ${open.length - 3} more` : "";
  return wrong(
    "modes",
    `open to others, or another user's: ${open.slice(0, 3).join(", ")}${more}`,
    `chown -R "$(id -u)" '${home}' && chmod -R go-rwx '${home}'`,
  );
}

function checkConfig(): Check {
  const { config, problems } = readConfig();
  if (problems.length)
    return wrong("config", problems.join("\n      "), `correct it, or remove what is wrong: ${configFile()}`);
  if (!config.bells.includes("hooks"))
    return wrong(
      "config",
      `config.json leaves out the bell "hooks"`,
      `add "hooks" to "bells": a busy session gets its mail by them`,
    );
  return fine("config", `bells ${config.bells.join(", ")}; inject ${config.inject}`);
}

function checkPeers(): Check {
  const { peers, broken } = readPeers();
  return broken.length
    ? wrong("peers", `no peer files: ${broken.join(", ")}`, "look at them and remove them; their mail is untouched")
    : fine("peers", `${peers.length} known`);
}

function checkStale(home: string, now: number): Check {
  const older = (dir: string, age: number) =>
    namesIn(dir)
      .map((name) => join(dir, name))
      .filter((path) => now - (ignore(["ENOENT"], () => lstatSync(path).mtimeMs) ?? now) > age);
  const boxes = namesIn(inboxRoot());
  const dangling = (dir: string) =>
    namesIn(dir)
      .map((name) => join(dir, name))
      .filter((path) => !existsSync(path) && ignore(["ENOENT"], () => lstatSync(path)));
  const stale = [
    ...older(join(home, "locks"), OLD_LOCK),
    ...dangling(sessionsDir()),
    ...dangling(addressBook()),
    ...boxes.flatMap((id) => older(join(inboxRoot(), id, "tmp"), TMP_AGE)),
  ];
  return stale.length
    ? wrong("stale files", stale.join(", "), "nobody needs them any more; remove them, or wait for the next sweep")
    : fine("stale files", "none");
}

function checkDead(): Check {
  const dead = listNew(deadBox());
  return fine(
    "dead mail",
    dead.length ? `${dead.length} that nobody will read; see ${join(deadBox(), "new")}` : "none",
  );
}

/** How many of the system's watches (inotify(7)) this user's processes have, of those they may have. */
function checkInotify(): Check {
  const limit = (name: string) =>
    Number(ignore(["ENOENT"], () => readFileSync(`/proc/sys/fs/inotify/${name}`, "utf8")) ?? Number.POSITIVE_INFINITY);
  const [instances, watches] = [limit("max_user_instances"), limit("max_user_watches")];
  if (instances === Number.POSITIVE_INFINITY) return fine("inotify", "this system has none");
  const used = { instances: 0, watches: 0 };
  const GONE = ["ENOENT", "ESRCH", "EACCES", "EPERM"];
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    if (ignore(GONE, () => statSync(`/proc/${pid}`).uid) !== process.getuid?.()) continue;
    for (const fd of ignore(GONE, () => readdirSync(`/proc/${pid}/fd`)) ?? []) {
      if (ignore([...GONE, "EINVAL"], () => readlinkSync(`/proc/${pid}/fd/${fd}`)) !== "anon_inode:inotify") continue;
      used.instances++;
      const info = ignore(GONE, () => readFileSync(`/proc/${pid}/fdinfo/${fd}`, "utf8")) ?? "";
      used.watches += info.split("\ninotify wd:").length - 1;
    }
  }
  const said = `${used.instances} of ${instances} instances and ${used.watches} of ${watches} watches are in use`;
  // A session takes two instances or three.
  return used.instances > instances - 3 || used.watches > watches - 10
    ? wrong("inotify", said, MORE_WATCHES)
    : fine("inotify", said);
}

const MORE_WATCHES = "sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=1024";

/** Whether a process that watches has lately had to do without: then mail is found by the slow look, every 10 s. */
function checkWatches(now: number): Check {
  const lines = (ignore(["ENOENT"], () => readFileSync(logFile(), "utf8")) ?? "").split("\n");
  // Which process had none for which folder, and since when, unless it has one again.
  const deaf = new Map<string, number>();
  for (const line of lines) {
    const [, time = "", who = "", event, path = ""] = /^(\S+) (\d+) (watch-error|watch-back) (\S+)/.exec(line) ?? [];
    if (event === "watch-back") deaf.delete(`${who} ${path}`);
    else if (event && /\b(ENOSPC|EMFILE)\b/.test(line)) deaf.set(`${who} ${path}`, Date.parse(time));
  }
  const at = Math.max(...deaf.values());
  if (now - at < RECENT)
    return wrong(
      "watches",
      `the system had no watch left at ${new Date(at).toISOString()}: mail is then found every 10 s only`,
      MORE_WATCHES,
    );
  return fine("watches", "nobody ran out of them within the last hour");
}
