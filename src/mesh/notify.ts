// Tells the human, on the desktop, of mail for `you` and of a session that nothing could wake. Each letter once: who
// makes inbox/you/rung/<unique name> first tells it, be it the sender or a supervisor by its terminal.

import { accessSync, closeSync, constants, openSync, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { errnoOf, ignore } from "../errors.ts";
import { safeConfig } from "./config.ts";
import { FILE_MODE, mailbox, makeDir } from "./home.ts";
import { log } from "./log.ts";

/** The program that shows a notice here, with its arguments; undefined where there is no desktop. */
function notifier(title: string, text: string): [string, string[]] | undefined {
  if (process.platform === "darwin") {
    const quoted = (s: string) => `"${s.replace(/[\\"]/g, "\\$&")}"`;
    return ["osascript", ["-e", `display notification ${quoted(text)} with title ${quoted(title)}`]];
  }
  const { DISPLAY, WAYLAND_DISPLAY, PATH = "" } = process.env;
  if (!DISPLAY && !WAYLAND_DISPLAY) return undefined;
  const found = PATH.split(delimiter)
    .map((dir) => join(dir || ".", "notify-send"))
    .find(canRun);
  return found ? [found, ["--app-name=claudemesh", "--", title, text]] : undefined;
}

/** Shows a notice on the desktop and does not wait for it. False: there is none, or `notify` is off. */
export function notifyHuman(title: string, text: string): boolean {
  const program = mayNotify() ? notifier(title, text) : undefined;
  if (program) start(program);
  return program !== undefined;
}

/** Shows on the desktop, where there is one, that a letter has come for `you`: unless somebody has told it already. */
export function notifyOfLetter(unique: string, from: string, subject: string): void {
  const program = mayNotify() ? notifier(`✉ ${from}`, subject) : undefined;
  if (program && claimRing(unique)) start(program);
}

function start([file, args]: [string, string[]]): void {
  const child = process.getBuiltinModule("node:child_process").spawn(file, args, { detached: true, stdio: "ignore" });
  child.on("error", (error) => log("notify-error", String(error)));
  child.unref();
}

function canRun(file: string): boolean {
  return (
    ignore(["ENOENT", "EACCES", "ENOTDIR"], () => {
      accessSync(file, constants.X_OK);
      return statSync(file).isFile();
    }) === true
  );
}

/** True unless config.json says `"notify": false`, or what it says of that can't be read. */
export const mayNotify = (): boolean => safeConfig().notify;

/** True for the first who asks: it is the one to tell the human of this letter. */
export function claimRing(unique: string): boolean {
  const dir = join(mailbox("you"), "rung");
  makeDir(dir);
  try {
    closeSync(openSync(join(dir, unique), "wx", FILE_MODE));
    return true;
  } catch (error) {
    if (errnoOf(error) === "EEXIST") return false;
    throw error;
  }
}
