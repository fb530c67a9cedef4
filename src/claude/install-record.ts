// What `install` remembers under the mesh home, so that `uninstall` gives back every byte: hashes of each settings
// file before and after, a copy of what was there, the folders that were made. Invariant: it is written before the
// deed, and a hash that no longer fits means somebody else wrote the file, so the copy must not be put back.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, unlinkSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { ignore } from "../errors.ts";
import { clearLeftovers, isObject, readJsonObject, removeEmpty, replaceFile } from "../mesh/files.ts";
import { makeDir, meshHome } from "../mesh/home.ts";
import { isOurStatusLine, parseSettings, withoutStatusLine } from "./settings.ts";
import { clearEdits } from "./settings-file.ts";

/** `before` and `after` are SHA-256 in hex; before null: there was no file; after null: nothing to give back. */
interface Install {
  before: string | null;
  after: string | null;
  dirs: string[];
}

const recordFile = () => join(meshHome(), "install.json");
const sha = (text: string) => createHash("sha256").update(text).digest("hex");

/** Where the copy of a settings file is kept. The name is of file and text: two files may hold the same text. */
const backupFile = (settings: string, hash: string) =>
  join(meshHome(), "backup", `settings-${sha(`${settings} ${hash}`).slice(0, 16)}.json`);

/** The settings files that are installed into, as far as is known. */
export function installedSettings(): string[] {
  return Object.keys(readJsonObject(recordFile()) ?? {});
}

/** Removes what an `install` or `uninstall` that was killed has left half made: in the home, and beside link and settings. */
export function clearHalfMade(settings: string, link: string): void {
  clearEdits(settings);
  clearLeftovers(dirname(link), `${basename(link)}.`);
  for (const name of ["install.json.", "node."]) clearLeftovers(meshHome(), name);
  const copies = join(meshHome(), "backup");
  clearLeftovers(copies);
  removeEmpty(copies);
}

/** Keeps a copy of a settings text (undefined: no file) that is about to become `after`. Returns the copy's path. */
export function rememberEdit(settings: string, text: string | undefined, after: string): string | undefined {
  const old = recall(settings);
  if (text !== undefined && isOurStatusLine(parseSettings(text).statusLine)) {
    // Ours is only being renewed: what was there before us is still the first copy, if nobody wrote since.
    save(settings, { ...old, after: old.after === sha(text) ? sha(after) : null });
    return undefined;
  }
  const copy = text === undefined ? undefined : backupFile(settings, sha(text));
  if (copy !== undefined && text !== undefined) {
    makeDir(dirname(copy));
    replaceFile(copy, text);
  }
  if (old.before !== null && backupFile(settings, old.before) !== copy) removeBackup(settings, old.before);
  save(settings, { ...old, before: text === undefined ? null : sha(text), after: sha(after) });
  return copy;
}

/** Makes a folder and its parents, and remembers which of them were not there. */
export function makeRemembered(settings: string, dir: string): void {
  const missing: string[] = [];
  for (let at = dir; !existsSync(at) && at !== dirname(at); at = dirname(at)) missing.push(at);
  const old = recall(settings);
  save(settings, { ...old, dirs: [...new Set([...old.dirs, ...missing])] });
  mkdirSync(dir, { recursive: true });
}

/** What a settings text becomes without us: all that was there before, if nobody wrote since, else our key cut out. */
export function givenBack(settings: string, text: string | undefined): string | undefined {
  const { before, after } = recall(settings);
  if (text === undefined) return undefined;
  if (after !== sha(text)) return withoutStatusLine(text);
  if (before === null) return undefined;
  const copy = ignore(["ENOENT"], () => readFileSync(backupFile(settings, before), "utf8"));
  return copy !== undefined && sha(copy) === before ? copy : withoutStatusLine(text);
}

/** Forgets an installation, its copy and those of the folders made for it that are empty. Returns the removed folders. */
export function forgetInstall(settings: string): string[] {
  const { before, dirs } = recall(settings);
  const removed = dirs.toSorted((a, b) => b.length - a.length).filter(removeEmpty);
  const rest = { ...readJsonObject(recordFile()) };
  delete rest[settings];
  if (before !== null) removeBackup(settings, before);
  if (Object.keys(rest).length > 0) replaceFile(recordFile(), `${JSON.stringify(rest, null, 2)}\n`);
  else ignore(["ENOENT"], () => unlinkSync(recordFile()));
  return removed;
}

function removeBackup(settings: string, hash: string): void {
  const copy = backupFile(settings, hash);
  ignore(["ENOENT"], () => unlinkSync(copy));
  removeEmpty(dirname(copy));
}

function recall(settings: string): Install {
  const found = readJsonObject(recordFile())?.[settings];
  const { before, after, dirs } = isObject(found) ? found : {};
  return {
    before: typeof before === "string" ? before : null,
    after: typeof after === "string" ? after : null,
    dirs: Array.isArray(dirs) ? dirs.filter((d) => typeof d === "string") : [],
  };
}

function save(settings: string, install: Install): void {
  replaceFile(recordFile(), `${JSON.stringify({ ...readJsonObject(recordFile()), [settings]: install }, null, 2)}\n`);
}
