// Large worlds, made fast: a thousand sessions, a hundred thousand letters, a gigabyte of transcript.

import { randomUUID } from "node:crypto";
import { closeSync, linkSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { peerFile } from "../../dist/mesh/home.js";
import { publish } from "../../dist/mesh/join.js";
import { makeMailbox } from "../../dist/mesh/maildir.js";
import { startedAt } from "../../dist/mesh/process.js";
import { letterFor } from "./wake.mjs";
import { at } from "./world.mjs";

const MB = 1_000_000;
/** In every large transcript once, in its last line. */
export const NEEDLE = "quetzalcoatl";
const tour = readFileSync(at("fixtures/transcripts/2.1.329/tour.jsonl"));
const last = JSON.stringify({
  type: "user",
  message: { role: "user", content: `where is ${NEEDLE}?` },
  uuid: randomUUID(),
  timestamp: "2026-11-21T07:00:00.000Z",
});

/** A transcript of about so many bytes: a recorded session, again and again. `sparse`: a hole where the middle was. */
export function transcript(path, bytes, { sparse = false } = {}) {
  const tail = Buffer.from(`${last}\n`);
  const piece = Buffer.concat(Array(Math.floor(MB / tour.length)).fill(tour));
  const file = openSync(path, "w");
  for (let size = piece.length + tail.length; !sparse && size < bytes; size += piece.length) writeSync(file, piece);
  const end = sparse ? Math.max(0, bytes - piece.length - tail.length) : null;
  // What stands before the hole's end is one line, and no conversation.
  if (end) writeSync(file, "\n", end - 1);
  writeSync(file, piece, 0, piece.length, end);
  writeSync(file, tail);
  closeSync(file);
  return path;
}

/** Pids of so many processes that only sleep, all ended with the world. */
async function sleepers(world, count) {
  const script =
    'trap "kill 0" TERM; n=0; while [ $n -lt $1 ]; do sleep 3600 & echo $!; n=$((n + 1)); done; echo; wait';
  const shell = world.start("/bin/sh", ["-c", script, "sh", String(count)], {
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  world.onClose(() => process.kill(-shell.pid, "SIGKILL"));
  let said = "";
  for await (const text of shell.stdout) {
    said += text;
    if (said.endsWith("\n\n")) break;
  }
  return said.trim().split("\n").map(Number);
}

/**
 * So many live sessions, each a process with a session file, a mailbox and a transcript, as their hooks would have
 * registered them. `text`: the transcript that they all share, else each has a recorded one of its own.
 */
export async function crowd(world, count, text) {
  const first = await world.session("first");
  const pids = await sleepers(world, count - 1);
  const projects = join(world.root, ".claude", "projects");
  mkdirSync(projects, { recursive: true });
  const path = (n) => join(projects, `${n}.jsonl`);
  const peers = pids.map((pid, n) => {
    const [id, session_id, started] = [`p${String(n).padStart(7, "0")}`, randomUUID(), startedAt(pid)];
    const claude_session_file = join(dirname(first.claude_session_file), `${pid}.json`);
    const fields = { pid, procStart: started, sessionId: session_id, status: "idle", version: "2.1.329" };
    writeFileSync(claude_session_file, JSON.stringify(fields));
    makeMailbox(join(world.mesh, "inbox", id));
    if (text) linkSync(text, path(n));
    else writeFileSync(path(n), tour);
    const { box, env, ...rest } = first;
    const own = { id, session_id, claude_session_file, transcript_path: path(n), pid, pid_started: started };
    return { ...rest, ...own, name: `session-${n}`, cwd: join(world.root, `session-${n}`) };
  });
  for (const peer of peers) writeFileSync(peerFile(peer.id), `${JSON.stringify(peer, null, 2)}\n`, { mode: 0o600 });
  publish();
  return { first, peers };
}

/**
 * Fills a room of a mailbox up to so many letters (cur/: seen ones); gives a function that adds more. `each`: so many
 * names for one file; making a file takes five times as long.
 */
export function filler(box, room, each = 1) {
  const names = [];
  let file;
  return (count) => {
    while (names.length < count) {
      const { unique, text } = letterFor("api", names.length);
      const path = join(box, room, room === "cur" ? `${unique}:2,S` : unique);
      if (names.length % each > 0) linkSync(file, path);
      else {
        writeFileSync(path, text);
        file = path;
      }
      names.push(unique);
    }
    return names;
  };
}
