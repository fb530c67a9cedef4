// The real Claude Code, stopped at each moment of the typing of a letter while its user goes on typing: every key of the
// user's comes through in order, behind nothing that is entered later, and the letter is shown once, never with his words.
// CLAUDEMESH_TEST_FREEZES=20 freezes each client 20 times, for 2 to 10 s, and prints a line each.

import { afterAll, expect, it } from "vitest";
import type { ApiRequest } from "../real/fake-api.ts";
import { newestText, timesShown } from "../real/shown.ts";
import { both, printTable, typingAlone, type Watched, watched } from "./matrix.ts";

afterAll(printTable);

const asked = process.env.CLAUDEMESH_TEST_FREEZES;
const rounds = Number(asked ?? 5);

const MOMENTS: [what: string, at: "key" | "paste" | "\r", after: () => number][] = [
  ["before a key, the letter after it", "key", () => -1],
  ["before the paste", "paste", () => -1],
  ["between paste and its display", "paste", () => Math.random() * 15],
  ["between display and Enter", "\r", () => -1],
  ["after Enter", "\r", () => Math.random() * 30],
];

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** One freeze: the user types a line, in pieces, and leaves it or enters it, and may change the size of his terminal. */
async function round(session: Watched, n: number): Promise<void> {
  const { mate, freezes, comes, own, notes, say, stage, isClean } = session;
  const [what, at, after] = MOMENTS[n % MOMENTS.length] ?? [];
  if (!what || !at || !after) return;
  const seconds = asked ? 2 + ((n * 7) % 17) / 2 : 2.5;
  const isEntered = n % 6 !== 5;
  const line = `the user's own line number ${n}`;
  const isResized = n % 7 === 3;
  const pieces = line.match(/.{1,7}/g) ?? [];
  const isFirst = at === "key";
  const { id, text, from, thaw } = isFirst
    ? await freezes(at, after(), pieces.shift() ?? "")
    : await freezes(at, after());
  try {
    if (isFirst) await mate.waitFor(() => mate.notices().some((notice) => notice.includes(text)), "a try");
    if (isFirst) expect(own(from)).toBe("");
    for (const piece of pieces) {
      mate.type(piece);
      await pause((seconds * 1000 * 0.8) / (pieces.length + 1));
    }
    if (isResized) mate.resize(110 - (n % 2) * 10, 36);
    if (isEntered) mate.key("enter");
    await pause(seconds * 1000 * 0.2);
  } finally {
    thaw();
  }
  const squeezed = line.replaceAll(" ", "");
  if (!isEntered) {
    await mate.waitFor(() => mate.draft() === squeezed, "the user's line to be all that is in the box");
    mate.key("enter");
  }
  await mate.waitFor(() => timesShown(stage.api, line) > 0, "the user's line to reach the model");
  await comes(id, text);
  expect(timesShown(stage.api, line)).toBe(1);
  const prompts = stage.api.turns(mate.id()).map(promptOf);
  expect(prompts.filter((prompt) => prompt.includes(line))).toContain(line);
  await isClean();
  // What was not entered was cut before any key of the user's went behind it.
  const bytes = notes()
    .slice(from)
    .map(({ own: isOwn, data }) => (data === undefined ? "" : isOwn ? data : data.replace(/[^\r]/g, "k")))
    .join("");
  for (const [, rest] of bytes.matchAll(/\x1b\[201~([^\x1b]*)/g)) expect(rest).toMatch(/^(\r|\x15+)k*\r?/);
  const pastes = own(from).split("\x1b[200~").length - 1;
  say(
    `frozen ${seconds} s ${what}${isResized ? ", resized" : ""}`,
    `${isEntered ? "his line and Enter" : "his draft"}: whole, in order, alone; the letter once, ${pastes} pastes`,
  );
}

/** What the user's side of a turn says besides hooks' texts: the newest block that is no reminder. */
function promptOf(turn: ApiRequest): string {
  return newestText(turn)
    .split("\n")
    .filter((line) => line.includes("own line"))
    .join("\n")
    .trim();
}

it(
  "frozen at any moment of the typing costs the user no key, and mixes none into the letter",
  async () => {
    await both(async (version) => {
      const session = await watched(version, await typingAlone(version));
      for (let n = 0; n < rounds; n++) await round(session, n);
    });
  },
  120_000 + rounds * 40_000,
);
