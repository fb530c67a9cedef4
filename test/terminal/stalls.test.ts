// The typist at a program that stalls: in process, time is the test's, and every byte in the program's box has an owner.

import fc from "fast-check";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { createTypist, type Typed } from "../../src/terminal/typist.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

type Piece = { bytes: string; isOwn: boolean };
type Char = { char: string; isOwn: boolean };
type Event =
  | { at: number; do: "key"; keys: string }
  | { at: number; do: "stall"; ms: number }
  | { at: number; do: "letter" | "tick" | "dialog" | "resize" };
type Quirks = { reads: number; draws: number; swallowsPaste: boolean; swallowsEnter: boolean };
/** `isHalf`: laid out anew by the terminal, or half drawn: no box can be made out. */
type Screen = { box: string; inDialog: boolean; ticks: number; isHalf: boolean };

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const KEYS = [
  "a",
  "b",
  " ",
  "one line\r",
  "\r",
  "\x7f",
  "\x1b[D",
  "\x1b[I",
  "\x1b[200~a paste\x1b[201~",
  "\x15",
  "\x03",
];
const TOKEN = /^(?:\x1b\[200~[^\x1b]*\x1b\[201~|\x1b\[[A-Z]|.)/s;

/** A program with a prompt box that reads a while after it was written to, and draws a while after it read. */
function stallingProgram({ reads, draws, swallowsPaste, swallowsEnter }: Quirks, sawOutput: () => void) {
  const queue: Piece[] = [];
  let box: Char[] = [];
  let inDialog = false;
  let isStalled = false;
  let ticks = 0;
  let screen: Screen = { box: "", inDialog: false, ticks: 0, isHalf: false };
  const submitted: Char[][] = [];
  const harm: string[] = [];
  const log: Piece[] = [];

  const draw = () => {
    screen = { box: box.map(({ char }) => char).join(""), inDialog, ticks, isHalf: false };
    sawOutput();
  };
  const drawHalf = () => {
    screen = { ...screen, isHalf: true };
    sawOutput();
  };
  const take = (token: string, isOwn: boolean) => {
    const paste = /^\x1b\[200~([^\x1b]*)\x1b\[201~$/.exec(token)?.[1];
    const own = box.filter((one) => one.isOwn).length;
    if (own > 0 && !isOwn && !token.startsWith("\x1b[I")) harm.push(`key ${JSON.stringify(token)} behind our text`);
    if (inDialog) {
      if (token === "\r" && isOwn) harm.push("Enter in a dialog");
      return;
    }
    if (paste !== undefined) {
      if (isOwn && box.length > 0) harm.push("a paste behind a draft");
      if (!(isOwn && swallowsPaste)) box.push(...[...paste].map((char) => ({ char, isOwn })));
    } else if (token === "\r") {
      if (isOwn && swallowsEnter) return;
      if (box.length > 0) submitted.push(box);
      if (isOwn && own !== box.length) harm.push("an Enter of ours for the user's text");
      box = [];
    } else if (token === "\x15" || token === "\x03") {
      if (isOwn && own < box.length) harm.push("the user's text was cut");
      box = [];
    } else if (token === "\x7f") box.pop();
    else if (token >= " ") box.push({ char: token, isOwn });
  };
  /** The program's loop: a step is made only while it runs. */
  const running = async (ms: number) => {
    for (let left = ms; left > 0 || isStalled; left -= isStalled ? 0 : 5) await sleep(5);
  };
  let isReading = false;
  const read = async () => {
    if (isReading) return;
    isReading = true;
    while (queue.length > 0) {
      await running(reads);
      const before = JSON.stringify([box, inDialog]);
      const pieces = queue.splice(0);
      // Claude Code takes an Enter that it reads together with keys after it for a new line of a paste.
      const at = pieces.findIndex(({ bytes, isOwn }) => isOwn && bytes === "\r");
      if (at >= 0 && pieces.slice(at + 1).some(({ bytes, isOwn }) => !isOwn && !bytes.startsWith("\x1b[I")))
        harm.push("keys read together with our Enter");
      for (const { bytes, isOwn } of pieces)
        for (let rest = bytes; rest !== ""; ) {
          const token = TOKEN.exec(rest)?.[0] ?? rest;
          take(token, isOwn);
          rest = rest.slice(token.length);
        }
      await running(draws);
      // As Claude Code: what changes nothing draws nothing.
      if (JSON.stringify([box, inDialog]) !== before) draw();
    }
    isReading = false;
  };
  return {
    submitted,
    harm,
    log,
    write(data: Buffer | string) {
      const piece = { bytes: data.toString(), isOwn: typeof data === "string" };
      log.push(piece);
      queue.push(piece);
      void read();
    },
    screen: async () => screen,
    isAtPrompt: () => !inDialog,
    async nudge() {
      const end = performance.now() + 200;
      while (performance.now() < end) {
        await sleep(20);
        if (isStalled) continue;
        draw();
        break;
      }
      await sleep(end + 200 - performance.now());
    },
    async stall(ms: number) {
      isStalled = true;
      await sleep(ms);
      isStalled = false;
    },
    async tick() {
      await running(5);
      ticks++;
      draw();
    },
    /** The terminal lays out the old rows anew; the program draws when it hears of it, in two pieces. */
    async resize(sawResize: () => void) {
      screen = { ...screen, isHalf: true };
      sawResize();
      await running(5);
      drawHalf();
      await running(5);
      draw();
    },
    /** A question that comes and is gone again. */
    async dialog() {
      await running(5);
      inDialog = true;
      draw();
      await running(800);
      inDialog = false;
      draw();
    },
  };
}

async function play(events: Event[], quirks: Quirks) {
  let sawOutput = () => {};
  const program = stallingProgram(quirks, () => sawOutput());
  const typist = createTypist<Screen>({
    ...program,
    // Claude's own file, which a program that stalls does not write.
    allClear: program.isAtPrompt,
    judge: ({ box, inDialog, isHalf }) => (inDialog || isHalf ? "other" : box === "" ? "empty prompt" : "draft"),
    showsPasted: (before, after, text) =>
      after.box === text && !after.inDialog && !after.isHalf && before.ticks === after.ticks,
  });
  sawOutput = typist.sawOutput;
  await vi.advanceTimersByTimeAsync(5000);
  const typed: { text: string; how: Typed | undefined }[] = [];
  let typing: Promise<unknown> = Promise.resolve();
  let keys = "";
  for (const event of events) {
    setTimeout(() => {
      if (event.do === "key") {
        keys += event.keys;
        const chunk = Buffer.from(event.keys);
        if (!typist.sawInput(chunk)) program.write(chunk);
      } else if (event.do === "stall") void program.stall(event.ms);
      else if (event.do === "letter") {
        const one: (typeof typed)[number] = { text: `mail number ${typed.length}`, how: undefined };
        typed.push(one);
        typing = typist.type(one.text).then((how) => {
          one.how = how;
        });
      } else if (event.do === "resize") void program.resize(typist.sawResize);
      else void program[event.do]();
    }, event.at);
  }
  const last = Math.max(...events.map((event) => event.at + (event.do === "stall" ? event.ms : 0)));
  await vi.advanceTimersByTimeAsync(last + 120_000);
  await typing;
  return { program, typed, keys };
}

/** Stalls with time between them in which the program runs: one that runs for less than a frame at a time shows nothing. */
const stalls = fc
  .array(fc.tuple(fc.integer({ min: 150, max: 3000 }), fc.integer({ min: 20, max: 12_000 })), { maxLength: 4 })
  .map((list) => {
    let at = 0;
    return list.map(([runs, ms]): Event => {
      const event: Event = { at: at + runs, do: "stall", ms };
      at += runs + ms;
      return event;
    });
  });
const time = fc.integer({ min: 0, max: 15_000 });
const schedule = fc
  .tuple(
    stalls,
    fc.array(fc.record({ at: time, do: fc.constant<"key">("key"), keys: fc.constantFrom(...KEYS) }), { maxLength: 12 }),
    fc.array(
      fc.record({ at: time, do: fc.constantFrom<"letter" | "tick" | "resize">("letter", "tick", "letter", "resize") }),
      {
        minLength: 1,
        maxLength: 8,
      },
    ),
  )
  .map((lists): Event[] => lists.flat())
  // Pressed twice it means something else: below.
  .filter((events) => events.filter((event) => event.do === "key" && event.keys === "\x03").length < 2);
const quirks = fc.record({
  reads: fc.integer({ min: 1, max: 20 }),
  draws: fc.integer({ min: 1, max: 20 }),
  swallowsPaste: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, fc.constant(true)),
  swallowsEnter: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, fc.constant(true)),
});

it("whatever stalls when: the user's keys come whole and in order, never behind a text of ours, and no text is cut or mixed", async () => {
  const roads = { entered: 0, withdrawn: 0, "not clear": 0 };
  await fc.assert(
    fc.asyncProperty(schedule, quirks, async (events, how) => {
      const { program, typed, keys } = await play(events, how);
      const { harm, log, submitted } = program;
      expect(harm).toEqual([]);
      expect(
        log
          .filter(({ isOwn }) => !isOwn)
          .map(({ bytes }) => bytes)
          .join(""),
      ).toBe(keys);
      const prompts = submitted.map((chars) => chars.map(({ char }) => char).join(""));
      for (const { text, how: end } of typed) {
        expect(prompts.filter((prompt) => prompt.includes("mail") && prompt === text)).toHaveLength(
          end === "entered" ? 1 : 0,
        );
        if (end) roads[end]++;
      }
      expect(prompts.filter((prompt) => prompt.includes("mail"))).toHaveLength(
        typed.filter((one) => one.how === "entered").length,
      );
    }),
    { numRuns: Number(process.env.CLAUDEMESH_TEST_RUNS ?? 300) },
  );
  for (const times of Object.values(roads)) expect(times).toBeGreaterThan(0);
}, 120_000);

const bytes = (log: Piece[]) => log.map((piece) => piece.bytes);
const usual = { reads: 5, draws: 5, swallowsPaste: false, swallowsEnter: false };
const key = (at: number, keys: string): Event => ({ at, do: "key", keys });

it("Ctrl-C pressed twice at a program that hangs is not held back; what was typed before it is dropped", async () => {
  const stalled: Event[] = [
    { at: 0, do: "stall", ms: 20_000 },
    { at: 100, do: "letter" },
  ];
  const once = await play([...stalled, key(1000, "a line\r"), key(2000, "\x03")], usual);
  expect(bytes(once.program.log)).toEqual(["\x1b[200~mail number 0\x1b[201~", "\x15", "a line\r", "\x03"]);
  const twice = await play([...stalled, key(1000, "a line\r"), key(2000, "\x03"), key(3000, "\x03")], usual);
  expect(bytes(twice.program.log).slice(0, 3)).toEqual(["\x1b[200~mail number 0\x1b[201~", "\x03", "\x03"]);
  const other = await play([...stalled, key(1000, "\x1c"), key(2000, "x"), key(3000, "\x1c")], usual);
  expect(bytes(other.program.log)).toEqual(["\x1b[200~mail number 0\x1b[201~", "\x15", "\x1c", "x", "\x1c"]);
});

it("nothing is typed behind keys that a program may not have read, though its box shows empty and a minute has passed", async () => {
  const events: Event[] = [key(0, "\x1b[D"), { at: 10, do: "stall", ms: 90_000 }, key(20, "draft")];
  const { program, typed } = await play([...events, { at: 60_000, do: "letter" }], usual);
  expect(typed).toEqual([{ text: "mail number 0", how: "not clear" }]);
  expect(bytes(program.log)).toEqual(["\x1b[D", "draft"]);
});

it("a change of size while a program hangs over our Enter is no sign that it was taken", async () => {
  // At 1,015 ms the paste shows, and Enter goes out.
  const { program, typed, keys } = await play(
    [
      { at: 1000, do: "letter" },
      { at: 1012, do: "stall", ms: 5000 },
      key(2000, "the user's own line\r"),
      { at: 3000, do: "resize" },
    ],
    usual,
  );
  expect(program.harm).toEqual([]);
  expect(typed).toEqual([{ text: "mail number 0", how: "entered" }]);
  expect(bytes(program.log)).toEqual(["\x1b[200~mail number 0\x1b[201~", "\r", keys]);
});

// One that is drawn in the instant in which Enter goes out would get it: nothing that types can know of it.
it.each([1000, 1004])("a question that comes %i ms on, before the paste shows, gets no Enter of ours", async (at) => {
  const { program, typed } = await play(
    [
      { at: 1000, do: "letter" },
      { at, do: "dialog" },
    ],
    usual,
  );
  expect(program.harm).toEqual([]);
  expect(typed).toEqual([{ text: "mail number 0", how: "withdrawn" }]);
  expect(bytes(program.log)).toEqual(["\x1b[200~mail number 0\x1b[201~", "\x15"]);
});

it("a key that draws nothing keeps no letter away from a program that runs", async () => {
  const { typed } = await play([key(0, "\x1b[D"), key(10, "\x7f"), { at: 6000, do: "letter" }], usual);
  expect(typed).toEqual([{ text: "mail number 0", how: "entered" }]);
});
