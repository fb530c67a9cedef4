// What the typist's matrix is made of: a session of the real client under the real supervisor, in which only typing can
// wake (the other bells are switched off; the turn's own hooks stay), and a tap on the bytes that the supervisor writes
// to claude's terminal (tap.mjs). The user's own keys are known from the terminal in which the test types them.
// Every case waits until the supervisor has really tried, or looked and left it, before it says that nothing was typed.

import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { expect } from "vitest";
import { letter } from "../mesh/temp-mesh.ts";
import { type ClientVersion, versions } from "../real/client.ts";
import { descendants } from "../real/processes.ts";
import type { Session } from "../real/session.ts";
import { timesShown } from "../real/shown.ts";
import { type Actor, type ActorOptions, type Stage, stage } from "../stories/stage.ts";

interface Note {
  at: number;
  own?: boolean;
  data?: string;
  read?: "session" | "peers";
  skipped?: true;
  frozen?: number;
}

export interface Case {
  /** Brings the session into the state, and sees it there. */
  set(mate: Session): unknown;
  /** What the supervisor is waited for: that it tried and told the user that it could not, for Claude's session file says
   * `idle` and only the screen keeps it away; that it looked at that file; or nothing, for it is stopped itself. */
  does?: "tell" | "look" | "nothing";
  /** Looked at once more after the supervisor has tried: the state still stands. */
  still?(mate: Session): unknown;
  /** The user's way out of it. */
  clear(mate: Session): unknown;
  /** How the mail comes in then. */
  by: Road;
  /** For a state that passes by itself: whether it still stands. The letter is put into the mailbox by this process,
   * which takes no time; where the supervisor was too slow to try in that time it is done again. */
  stands?(mate: Session): boolean;
}

export interface Frozen {
  id: string;
  text: string;
  /** The mark before it. */
  from: number;
  thaw(): void;
}

export type Road = "typing" | "the prompt's hook" | "the turn's hook";

export interface Watched {
  readonly stage: Stage;
  readonly mate: Actor;
  /** What the supervisor itself has written to claude's terminal since `mark`. */
  own(mark?: number): string;
  /** The place in the tap's notes to count from. */
  mark(): number;
  notes(): Note[];
  /** The user has not touched the keyboard for a minute. */
  away(): Promise<void>;
  /** Mail that comes in the state waits, nothing is typed; when the state is left, it is shown once. */
  leavesAlone(what: string, one: Case): Promise<void>;
  /** While the supervisor stands between paste and Enter, this happens; gives what was sent, and the mark before it. */
  meanwhile(what: string, happens: () => Promise<void> | void): Promise<{ id: string; text: string; from: number }>;
  /**
   * Sends a letter, and has claude stopped at the supervisor's next paste or Enter, `after` ms after it (negative: before
   * it); or first at a key of the user's, who then goes away. Resolves when it is stopped; `thaw` lets claude go on.
   */
  freezes(at: "paste" | "\r", after: number): Promise<Frozen>;
  freezes(at: "key", after: number, key: string): Promise<Frozen>;
  /** Where the letter lies: `new`, or `cur` and its flags. */
  lies(id: string): string | undefined;
  /** Waits until the letter was shown, once, and is marked so, and the session is idle again. */
  comes(id: string, text: string): Promise<void>;
  /** An empty prompt box, idle, nothing unread, and all of the user's keys have come through as they were typed. */
  isClean(): Promise<void>;
  say(what: string, words: string): void;
}

const PASTE = String.raw`\x1b\[200~[^\x1b\r]+\x1b\[201~`;
/** A paste that nothing in it closes, and Enter by itself; before it, perhaps, pastes taken back without an Enter. */
export const TYPED = new RegExp(`^(?:${PASTE}\\x15+)*${PASTE}\\r$`);
/** A paste taken back without an Enter, by as many cuts as it took. */
export const WITHDRAWN = new RegExp(`^${PASTE}\\x15*$`);

/** Both clients at once, each in a home of its own: they mostly wait. */
export async function both(story: (version: ClientVersion) => Promise<void>): Promise<void> {
  const done = await Promise.allSettled(versions.map(story));
  const failures = done.flatMap((one, i) =>
    one.status === "rejected" ? [`${versions[i]}: ${one.reason?.stack}`] : [],
  );
  if (failures.length > 0) throw new Error(failures.join("\n\n"));
}

/** Sets a stage on which only typing wakes. */
export const typingAlone = (version: ClientVersion, settings: Record<string, unknown> = {}) =>
  stage(version, "supervised", { config: { bells: ["supervisor", "hooks"] }, settings });

let letters = 0;

/** Starts a session with a tap in its supervisor. */
export async function watched(
  version: ClientVersion,
  set: Stage,
  { folder = "api", ...options }: ActorOptions & { folder?: string } = {},
): Promise<Watched> {
  const tap = set.home.path(`tap-${++letters}`);
  const mate = await set.session(folder, {
    ...options,
    node: ["--import", new URL("./tap.mjs", import.meta.url).href],
    env: { ...options.env, CLAUDEMESH_TEST_TAP: tap },
  });
  const notes = () =>
    (existsSync(tap) ? readFileSync(tap, "utf8").split("\n").slice(0, -1) : []).map((line) => JSON.parse(line) as Note);
  const own = (mark = 0) => written(notes().slice(mark), true);
  /** What the terminal has sent, in the tap's form. */
  const sent = () => Buffer.from(mate.sent()).toString("latin1");
  const peer = (await set.row(folder))?.id;
  const mailbox = () =>
    set.mailbox(peer ?? "").map(({ message_id, at, flags }) => ({ message_id, place: `${at} ${flags}`.trim() }));
  const drop = (text: string) =>
    `<${letter(set.home.path(".claudemesh", "inbox", peer ?? ""), { body: text, subject: text })}@claudemesh>`;
  const supervisor = () => (options.job ? (descendants(mate.pid)[0] ?? mate.pid) : mate.pid);

  const self: Watched = {
    stage: set,
    mate,
    notes,
    own,
    mark: () => notes().length,
    async away() {
      const from = notes().length;
      process.kill(supervisor(), "SIGUSR2");
      await mate.waitFor(() => notes().findIndex(({ skipped }, i) => skipped && i >= from) >= 0, "the clock to go on");
    },
    lies: (id) => mailbox().find(({ message_id }) => message_id === id)?.place,
    async isClean() {
      await mate.waitFor(() => mate.status() === "idle" && mate.draft() === "", "an empty prompt, idle");
      expect(mailbox().filter(({ place }) => !/^cur [RS]/.test(place))).toEqual([]);
      if (options.job) return;
      await mate.waitFor(() => written(notes(), false).length >= sent().length, "the user's keys to come through");
      expect(written(notes(), false)).toBe(sent());
    },
    async comes(id, text) {
      await mate.waitFor(() => timesShown(set.api, text) > 0, `the model to be shown "${text}"`);
      await set.receiptIs(id, "seen");
      await mate.waitStatus("idle");
      expect(timesShown(set.api, text)).toBe(1);
    },
    async leavesAlone(what, one) {
      const { set: enter, does = "tell", still, stands, clear, by } = one;
      for (let tries = 1; ; tries++) {
        await self.isClean();
        await enter(mate);
        if (does !== "nothing") await self.away();
        const from = notes().length;
        const text = `letter ${++letters}, sent at: ${what}`;
        const id = stands ? drop(text) : (await set.send(folder, text)).message_id;
        const there = Date.now();
        const signs = {
          tell: () => mate.notices().some((notice) => notice.includes(text)),
          look: () => notes().some(({ read, at }) => read === "session" && at >= there),
          nothing: () => true,
        };
        await mate.waitFor(() => signs[does]() || (stands && !stands(mate)), `the supervisor to ${does}`);
        if (stands && !stands(mate) && tries < 5) {
          await self.comes(id, text);
          continue;
        }
        expect(`${what}: ${self.lies(id)}, ${JSON.stringify(own(from))}`).toBe(`${what}: new, ""`);
        await still?.(mate);
        expect(`${what}: ${JSON.stringify(own(from))}`).toBe(`${what}: ""`);
        await clear(mate);
        await self.comes(id, text);
        if (by === "typing") expect(own(from)).toMatch(TYPED);
        else expect(own(from)).toBe("");
        await self.isClean();
        return self.say(what, `0 bytes typed there, then shown once by ${by}`);
      }
    },
    async meanwhile(what, happens) {
      await self.isClean();
      const from = notes().length;
      const text = `letter ${++letters}, sent for: ${what}`;
      writeFileSync(`${tap}.hold`, "");
      const { message_id } = await set.send(folder, text);
      await mate.waitFor(() => own(from).includes("\x1b[201~"), "the paste");
      await happens();
      rmSync(`${tap}.hold`);
      return { id: message_id, text, from };
    },
    async freezes(at: string, after: number, key: string = "") {
      await self.isClean();
      await self.away();
      const from = notes().length;
      const text = `letter ${++letters}, sent to one that freezes`;
      writeFileSync(`${tap}.freeze`, JSON.stringify({ at, after }));
      const frozen = () =>
        mate.waitFor(
          () =>
            notes()
              .slice(from)
              .find((note) => note.frozen)?.frozen,
          "claude to be frozen",
        );
      if (key !== "") mate.type(key);
      if (at === "key") await frozen();
      const { message_id } = await set.send(folder, text);
      const pid = await frozen();
      if (at === "key") await self.away();
      return { id: message_id, text, from, thaw: () => process.kill(pid, "SIGCONT") };
    },
    say: (what, words) => table.push(`typist  ${version}  ${what.padEnd(56)} ${words}`),
  };
  return self;
}

const written = (notes: Note[], own: boolean) => notes.map((note) => (note.own === own ? note.data : "")).join("");

const table: string[] = [];
/** Prints a line for each case so far, those of a version together. */
export const printTable = () => {
  const lines = versions.flatMap((version) => table.filter((line) => line.includes(version)));
  process.stdout.write(`${lines.join("\n")}\n`);
};
