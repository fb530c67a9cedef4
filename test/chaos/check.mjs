// The checker of the crash test. It reads the disk, and what the processes had said; it knows nothing else.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ORDERED, ORPHANED_HERE } from "./plan.mjs";

const list = (dir) => {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
};

/** True if a letter's file is all that its sender wrote. */
function isWhole(path) {
  const text = readFileSync(path, "utf8");
  const body = text.slice(text.indexOf("\n\n") + 2);
  const [, sender, n, digest, filler] = /^(\S+) (\d+) ([0-9a-f]{64})\n(x*)\n$/.exec(body) ?? [];
  return digest !== undefined && digest === createHash("sha256").update(`${sender} ${n} ${filler}`).digest("hex");
}

/**
 * `said`: what the processes said, in the order it came, as `{ by, words }`; `excused`: the processes (`by`) that were
 * killed, or hung for a while. Gives counts, and a sentence for each violation.
 */
export function check(home, said, excused) {
  const wrong = [];
  const places = new Map();
  for (const id of list(join(home, "inbox")))
    for (const room of ["new", "cur"])
      for (const file of list(join(home, "inbox", id, room))) {
        const [unique, flags] = file.split(":2,");
        places.set(unique, [
          ...(places.get(unique) ?? []),
          { id, room, flags, path: join(home, "inbox", id, room, file) },
        ]);
      }
  for (const file of list(join(home, "dead", "new")))
    places.set(file, [...(places.get(file) ?? []), { id: "dead", room: "new", path: join(home, "dead", "new", file) }]);

  const acks = said.filter(({ words }) => words[0] === "ack");
  const shows = said.filter(({ words }) => words[0] === "show");
  let lost = 0;
  let torn = 0;
  for (const { words } of acks) {
    const found = places.get(words[3]) ?? [];
    if (found.length === 1 && found[0].flags?.includes("S")) continue;
    if (found.length === 1) {
      wrong.push(`${words[3]} was acknowledged and never read: ${found[0].path}`);
      continue;
    }
    if (found.length === 0) lost++;
    wrong.push(`${words[3]} was acknowledged and lies in ${found.length} places`);
  }
  for (const [unique, found] of places)
    for (const { path } of found)
      if (!isWhole(path)) {
        torn++;
        wrong.push(`${unique} is torn: ${path}`);
      }

  const shown = new Map();
  for (const { by, words } of shows)
    shown.set(words[2], [...(shown.get(words[2]) ?? []), { by, at: Number(words[5]) }]);
  for (const [unique, [place]] of places)
    if (place.flags?.includes("S") && !shown.has(unique)) wrong.push(`${unique} is marked seen and was never shown`);
  let twice = 0;
  let unexcused = 0;
  for (const [unique, all] of shown) {
    if (all.length === 1) continue;
    twice++;
    if (all.slice(0, -1).every(({ by }) => excused.has(by))) continue;
    unexcused++;
    wrong.push(`${unique} was shown ${all.length} times, and not because a collector died or hung`);
  }

  const sentAt = new Map(acks.map(({ words }) => [words[3], Number(words[4])]));
  for (const box of ORDERED) {
    const highest = new Map();
    const firsts = new Set();
    for (const { words } of shows) {
      const [, id, unique, sender, n, at] = words;
      if (id !== box || firsts.has(unique)) continue;
      firsts.add(unique);
      const isLate = Number(n) < (highest.get(sender) ?? -1);
      // Only what a dead or hung collector had in its hands may come late, for it was taken back after that time.
      if (isLate && Number(at) - (sentAt.get(unique) ?? 0) < ORPHANED_HERE)
        wrong.push(`${unique}, number ${n} of ${sender}, was shown after number ${highest.get(sender)}`);
      if (!isLate) highest.set(sender, Number(n));
    }
  }

  for (const file of list(join(home, "peers")).filter((name) => name.endsWith(".json") && !name.startsWith("."))) {
    try {
      if (JSON.parse(readFileSync(join(home, "peers", file), "utf8")).id !== file.slice(0, -5))
        throw new Error("another's");
    } catch (error) {
      wrong.push(`peers/${file} can't be read: ${error.message}`);
    }
  }
  for (const lock of list(join(home, "locks"))) wrong.push(`locks/${lock} has outlived its holder`);
  return { acknowledged: acks.length, lost, torn, twice, unexcused, wrong };
}
