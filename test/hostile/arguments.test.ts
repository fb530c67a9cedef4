// The tools with arguments that no schema foresees, through the MCP library's own client and the real server: each call
// is answered by a result or an error, the server goes on, and nothing is written outside the home.

import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { TOOLS } from "../../src/claude/tools.ts";
import { claudeServer, type Server } from "../claude/server.ts";
import { standIn } from "../claude/stand-in.ts";
import { FRAME, isShowable, TRAPS } from "../fuzz/hostile.ts";
import { type TempHome, tempHome } from "../temp-home.ts";

type Arguments = Record<string, unknown>;

const MB = 1024 * 1024;
const STRINGS = [
  ...[
    "",
    " ",
    "\0",
    "..",
    "../../../../tmp/claudemesh-was-here",
    "/etc/passwd",
    "~/.ssh/id_rsa",
    "con\nX-Mesh-Kind: answer",
  ],
  ...["*", "@repo", "you", ",,,,", "api,".repeat(5000), "<../../../peers/x@claudemesh>", "<x@claudemesh>\r\nFrom: you"],
  ...["/(a+)+$/", "/[/", "/\\p{L}{1,99999}/u", "%s%n", "$(touch /tmp/claudemesh-was-here)", "\ud800", FRAME],
  ...["__proto__", "constructor", "toString", "a".repeat(300), "\u202e\u200b\x1b[31m\x9b\x07", TRAPS.join("")],
];
const HUGE = ["x".repeat(2 * MB), "\n~~~".repeat(300_000), "\x1b[201~".repeat(200_000), "\u{1f600}".repeat(300_000)];
const WRONG = [null, true, 0, -1, 1.5, 1e308, [], ["api"], {}, { to: "api" }, [[[[[]]]]]];
/** Read as JSON, so that the keys are own keys and travel as such. */
const POISONED: Arguments[] = [
  '{"__proto__": {"isError": true, "to": "api", "body": "x"}}',
  '{"__proto__": null, "constructor": {"prototype": {"polluted": 1}}, "to": "api", "body": "from a constructor"}',
  '{"to": "api", "body": "x", "__proto__": {"kind": "bounce"}, "hasOwnProperty": 1, "toString": 2, "then": 3}',
  '{"id": "api", "query": "x", "options": {"__proto__": {"limit": -1}, "limit": 1e9}}',
].map((text) => JSON.parse(text));

const fields = TOOLS.map(({ name, input }) => ({ name, keys: Object.keys(input) }));
/** What the other fields hold, so that the call gets past its schema. */
const GOOD: Arguments = { to: "web", id: "web", body: "x", query: "x", question: "x", summary: "x", timeout_s: 1 };
GOOD.message_id = "<1763708400.M123456P4242Q9.laptop@claudemesh>";
GOOD.turn_index = 1;

const callsWith = (values: readonly unknown[]): [string, Arguments][] =>
  fields.flatMap(({ name, keys }) =>
    keys.flatMap((key) =>
      values.map((value): [string, Arguments] => {
        const others = keys.filter((k) => k in GOOD && k !== "timeout_s").map((k) => [k, GOOD[k]]);
        return [
          name,
          { ...Object.fromEntries(others), ...(name === "ask_peer" ? { timeout_s: 1 } : {}), [key]: value },
        ];
      }),
    ),
  );

async function stage(): Promise<{ home: TempHome; server: Server; outside: () => string[] }> {
  const home = tempHome();
  const server = await claudeServer(home, "api");
  await server.call("whoami");
  await standIn(home, "web");
  // Everything in the home but the mesh, and what hostile names might lead to beside it.
  const outside = () => [
    ...readdirSync(home.home, { recursive: true, encoding: "utf8" })
      .filter((path) => !path.startsWith(".claudemesh/"))
      .sort(),
    ...["/tmp", "/", "/etc"].flatMap((dir) => readdirSync(dir).filter((name) => /was-here|^x$|\.M\d{6}P/.test(name))),
  ];
  return { home, server, outside };
}

/** Calls, and gives what became of it: `result`, `error` of the tool, or `refused` by the schema or the client. */
async function outcome(server: Server, [tool, args]: [string, Arguments]): Promise<"result" | "error" | "refused"> {
  const answer = await server.call(tool, args).catch((error: Error) => {
    if (/closed|timed out/i.test(error.message)) throw error;
    return undefined;
  });
  if (!answer) return "refused";
  isShowable(answer.text, `what ${tool} says`);
  expect(answer.text, `${tool} tells where its code lies`).not.toMatch(/\n +at .*\.js:\d/);
  return answer.isError ? "error" : "result";
}

async function survives(calls: [string, Arguments][]): Promise<void> {
  const { home, server, outside } = await stage();
  const before = outside();
  const count = { result: 0, error: 0, refused: 0 };
  for (const call of calls) {
    // An answer that nobody gives is waited for, so these are given up by the clock.
    if (call[0] === "ask_peer" && typeof call[1].question === "string" && call[1].to === "web") continue;
    try {
      count[await outcome(server, call)]++;
    } catch (error) {
      throw new Error(`${call[0]} ${JSON.stringify(call[1]).slice(0, 300)}`, { cause: error });
    }
  }
  process.stdout.write(`hostile  ${calls.length} calls: ${JSON.stringify(count)}\n`);
  expect(JSON.parse((await server.call("whoami")).text)).toMatchObject({ name: "api", pid: server.pid });
  expect(outside()).toEqual(before);
  const rooms = readdirSync(home.path(".claudemesh"));
  expect(
    rooms.filter(
      (room) =>
        !/^(peers|inbox|sessions|to|locks|dead|badge|log|now|clocks|config\.json|node|place|\S*beat)$/.test(room),
    ),
  ).toEqual([]);
  expect((await home.run(["list", "--json"])).code).toBe(0);
}

describe("the mail server, called with", () => {
  it("strings that mean something elsewhere", () => survives(callsWith(STRINGS)), 120_000);
  it("strings of a megabyte and more", () => survives(callsWith(HUGE)), 120_000);
  it("values of every wrong type", () => survives(callsWith(WRONG)), 120_000);
  it("keys of Object's own", async () => {
    await survives(fields.flatMap(({ name }) => POISONED.map((args): [string, Arguments] => [name, args])));
  }, 120_000);
  it("a tool that is none, and arguments that are none", async () => {
    const { server } = await stage();
    for (const name of ["", "__proto__", "constructor", "rm -rf /", "x".repeat(MB)])
      expect(await server.call(name).catch(() => ({ isError: true }))).toMatchObject({ isError: true });
    for (const args of [null, "text", 3, []])
      expect(await outcome(server, ["send_message", args as unknown as Arguments])).not.toBe("result");
    expect((await server.call("whoami")).isError).toBe(false);
  });
});
