// Loaded into the supervisor's process (`node --import`), and into no other: notes in the file CLAUDEMESH_TEST_TAP what
// the supervisor writes to claude's terminal, at the last point before the system call, and whose each piece is.
// - A piece that came in from the user's terminal, the same object, is the user's. Whatever else is written is `own`.
// - `read`: a session file was opened, which every round of the bell begins with, or the folder of the peers listed,
//   which is what it does until its session has joined.
// - SIGUSR2 sets the clock of the keyboard a minute on: the user has not touched it since. No other clock moves.
// - While the file <tap>.hold is there, the supervisor stands still right after it has written a paste, as it would if
//   the system gave it no time: what the user and claude do meanwhile comes before whatever it does next.

import fs, { appendFileSync, existsSync } from "node:fs";
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
const spawn = pty.spawn;
pty.spawn = (...args) => {
  const terminal = spawn(...args);
  const write = terminal.write;
  terminal.write = function (data) {
    const own = !fromUser.has(data);
    const bytes = Buffer.from(data);
    write.call(this, data);
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
