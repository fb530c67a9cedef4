// The watching process of the wake rows: `watcher.mjs ours|bare <id>`. It tells its parent, by name and shared clock, when
// it held each message. Bare: inotify as Node gives it, and the reading of the file; nothing is looked for or parsed.

import { readFileSync, unlinkSync, watch } from "node:fs";
import { join } from "node:path";
import { mailbox } from "../../dist/mesh/home.js";
import { curPath, mark } from "../../dist/mesh/maildir.js";
import { peek, take } from "../../dist/mesh/receive.js";
import { watch as watchMail } from "../../dist/mesh/watch.js";
import { now } from "./stats.mjs";

const [side, id] = process.argv.slice(2);
const box = mailbox(id);
const rooms = join(box, "new");

function bare() {
  watch(rooms, (_, name) => {
    try {
      const text = readFileSync(join(rooms, name), "utf8");
      process.send({ name, at: now(), length: text.length });
      unlinkSync(join(rooms, name));
    } catch (error) {
      // The removal is an event as well.
      if (error.code !== "ENOENT") throw error;
    }
  });
}

async function ours() {
  await watchMail(rooms, () => {
    const { letters } = peek(id);
    const held = now();
    for (const { unique, message } of letters) process.send({ name: unique, at: held, length: message.body.length });
    // What has come since is told of at the next look.
    const told = new Set(letters.map(({ unique }) => unique));
    for (const { unique } of take(id, (letter) => told.has(letter.unique))) {
      mark(box, unique, "S");
      unlinkSync(curPath(box, unique, "S"));
    }
  });
}

if (side === "ours") await ours();
else bare();
// chokidar tells of nothing while it starts.
setTimeout(() => process.send({ name: "ready" }), 500);
