// Loaded into the supervisor's process (`node --import`), and into no other: notes in the file CLAUDEMESH_TEST_TAP what
// the supervisor writes to claude's terminal, at the last point before the system call, and whose each piece is.
// - A piece that came in from the user's terminal, the same object, is the user's. Whatever else is written is `own`.
// - `read`: a session file was opened, which every round of the bell begins with, or the folder of the peers listed,
//   which is what it does until its session has joined.
// - SIGUSR2 sets the clock of the keyboard a minute on: the user has not touched it since. No other clock moves.
// - While the file <tap>.hold is there, the supervisor stands still right after it has written a paste, as it would if
//   the system gave it no time: what the user and claude do meanwhile comes before whatever it does next.
// - A file <tap>.freeze, `{"at":"paste"|"\\r"|"key","after":ms}`, has claude stopped at the supervisor's next paste, or
//   Enter, or the user's next key: this many ms after it, or before it if negative. The supervisor is not told (as with a machine or container that
//   stalls), `frozen` is noted, the file is gone; who thaws it sends SIGCONT.

import fs, { appendFileSync, existsSync, readFileSync, rmSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import pty from "node-pty";

const tap = process.env.CLAUDEMESH_TEST_TAP;
const note = (what) => appendFileSync(tap, `${JSON.stringify({ at: Date.now(), ...what })}\n`);

const { stdin } = process;
const fromUser = new WeakSet();
const emit = stdin.emit;
stdin.emit = function (event, ...rest) {
  if (event === "data") fromUser.add(rest[0]);
  return emit.call(this, event, ...rest);
};

const still = new Int32Array(new SharedArrayBuffer(4));
let frozen;
const freeze = (pid, after) => {
  if (after > 0) Atomics.wait(still, 0, 0, after);
  rmSync(`${tap}.freeze`);
  frozen = pid;
  process.kill(pid, "SIGSTOP");
  note({ frozen: pid });
};
/** When to stop claude, in ms after this write; undefined: not at this one. */
const freezeAt = (own, bytes) => {
  if (!existsSync(`${tap}.freeze`)) return undefined;
  const { at, after } = JSON.parse(readFileSync(`${tap}.freeze`, "utf8"));
  if (own !== (at !== "key")) return undefined;
  if (!own) return after;
  return bytes.includes(at === "paste" ? "\x1b[200~" : at) ? after : undefined;
};
const processEmit = process.emit;
process.emit = function (event, ...rest) {
  // What stops by itself is suspended with its supervisor; what a stalled machine stops tells nobody.
  const isBlind = event === "SIGCHLD" && frozen && / T \d/.test(readFileSync(`/proc/${frozen}/stat`, "latin1"));
  return isBlind ? false : processEmit.call(this, event, ...rest);
};

const spawn = pty.spawn;
pty.spawn = (...args) => {
  const terminal = spawn(...args);
  const write = terminal.write;
  terminal.write = function (data) {
    const own = !fromUser.has(data);
    const bytes = Buffer.from(data);
    const after = freezeAt(own, bytes);
    if (after < 0) freeze(this.pid, 0);
    write.call(this, data);
    if (after >= 0) freeze(this.pid, after);
    note({ own, data: bytes.toString("latin1") });
    if (own && bytes.includes("\x1b[200~")) while (existsSync(`${tap}.hold`)) Atomics.wait(still, 0, 0, 5);
  };
  return terminal;
};

const { openSync, readdirSync } = fs;
fs.openSync = (path, ...rest) => {
  if (/\/sessions\/\d+\.json$/.test(String(path))) note({ read: "session" });
  return openSync(path, ...rest);
};
fs.readdirSync = (path, ...rest) => {
  if (/\/peers$/.test(String(path))) note({ read: "peers" });
  return readdirSync(path, ...rest);
};
syncBuiltinESMExports();

const now = performance.now;
let ahead = 0;
performance.now = () => now.call(performance) + ahead;
process.on("SIGUSR2", () => {
  ahead += 60_000;
  note({ skipped: true });
});
