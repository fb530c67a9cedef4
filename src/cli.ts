// claudemesh: mail between Claude Code sessions, over nothing but files.
//
// The house has four rooms, and arrows point down only (Biome checks it):
//   commands/  one file a verb: options → call → print. Only `run`, and `doctor` to look at all, join the rooms below.
//   claude/    what Claude Code reads and writes: hooks, MCP server, its session files, transcripts, settings, the words.
//   terminal/  any program under a PTY; would work for `cat`.
//   mesh/      the files under ~/.claudemesh. Knows no Claude and no terminal.
//
// One letter, one road. `send` resolves an address, composes a text file and delivers it: tmp/ → new/, then it rings.
// Whoever can next show it to that Claude collects it by renaming it new/ → cur/: the session's own MCP server through
// its inbox socket (claude/ringer), a hook (claude/hooks), the supervisor (commands/run). Once it has really been
// shown it is marked by another rename, with the flag S. Everything else (unread counts, receipts, who is there) is
// read off the same files. Watchers carry nothing: an event means "look again".
//
// This file holds the only catch and the only process.exit. What is no verb of ours goes to claude untouched, but for
// --help, -h and --version alone: that is decided on argv[2], before any parser. Nothing is imported that a verb does not need. What runs is one file
// that bin/bundle.mjs makes of all this.

import { jsonText } from "./clean.ts";
import { errnoOf, exitStatus, MeshError, mendOf, reasonOf } from "./errors.ts";
import { version } from "./package.ts";
import { say, write } from "./print.ts";

type Options = Record<string, unknown>;
type Verb = { run(args: string[], options: Options): Promise<unknown> };

const VERBS: Record<string, { usage: string; about: string; options?: [string, string][]; load: () => Promise<Verb> }> =
  {
    list: {
      usage: "",
      about: "live sessions: id, name, state, since, unread, bell, branch, summary, path",
      options: [
        ["--all", "those that are gone, too"],
        ["--repo", "those of this repository"],
        ["--dir", "those of this folder"],
      ],
      load: () => import("./commands/list.ts"),
    },
    whoami: { usage: "", about: "the session this shell runs under", load: () => import("./commands/whoami.ts") },
    send: {
      usage: "<to> [...text]",
      about: "send; `-` or a pipe reads the text from stdin; prints id and state",
      options: [
        ["--note", "for information: never wakes"],
        ["--now", "show it between two tool calls"],
        ["--expires <time>", "give up if unread after 90s, 30m, 2h, 1d"],
        ["--queue", "let it wait if nobody of that name is there"],
        ["--yes", "send to more than five without being asked"],
      ],
      load: () => import("./commands/send.ts"),
    },
    ask: {
      usage: "<to> [...text]",
      about: "send a question, wait, print the answer; 75 if it is late: then it comes by mail",
      options: [["--timeout <time>", "how long to wait: 90s, 30m (5m)"]],
      load: () => import("./commands/ask.ts"),
    },
    reply: {
      usage: "<message-id> [...text]",
      about: "answer in thread",
      load: () => import("./commands/reply.ts"),
    },
    inbox: {
      usage: "[who]",
      about: "read mail; another's only with --peek",
      options: [
        ["--peek", "look, take nothing"],
        ["--thread <id>", "only the thread of that message, read mail included"],
      ],
      load: () => import("./commands/inbox.ts"),
    },
    receipt: {
      usage: "<message-id>",
      about: "where that message is, as a fact",
      load: () => import("./commands/receipt.ts"),
    },
    history: {
      usage: "<who>",
      about: "the last turns of another session",
      options: [
        ["-n, --turns <n>", "how many (5)"],
        ["--raw", "cut nothing"],
      ],
      load: () => import("./commands/history.ts"),
    },
    search: {
      usage: "<who> <query>",
      about: "search a transcript, or all with *; /regex/flags or a substring",
      options: [
        ["--context <n>", "characters around a hit"],
        ["--limit <n>", "most hits"],
      ],
      load: () => import("./commands/search.ts"),
    },
    turn: {
      usage: "<who> [n]",
      about: "one turn of a transcript; -1 is the last",
      options: [["--raw", "cut nothing"]],
      load: () => import("./commands/turn.ts"),
    },
    status: {
      usage: "",
      about: "health at a glance, and the bell that each session has",
      load: () => import("./commands/status.ts"),
    },
    doctor: {
      usage: "",
      about: "looks at everything that mail needs, really runs the hooks; each fault with its mend",
      load: () => import("./commands/doctor.ts"),
    },
    install: {
      usage: "",
      about: "make plain `claude` take part: one symlink, and a status line if you have none",
      options: [
        ["--dry-run", "show what would be done"],
        ["--project", "for this project only"],
      ],
      load: () => import("./commands/install.ts"),
    },
    uninstall: {
      usage: "",
      about: "take that back",
      options: [
        ["--dry-run", "show what would be done"],
        ["--project", "for this project only"],
      ],
      load: () => import("./commands/uninstall.ts"),
    },
    deliver: {
      usage: "<to>",
      about: "deliver a whole message file from stdin (for feeders)",
      load: () => import("./commands/deliver.ts"),
    },
    statusline: {
      usage: "",
      about: "the badge of this session (called by Claude Code)",
      load: () => import("./commands/statusline.ts"),
    },
  };

/** Verbs whose words are not ours to parse. */
const RAW: Record<string, () => Promise<Verb>> = {
  run: () => import("./commands/run.ts"),
  hook: () => import("./commands/hook.ts"),
  mcp: () => import("./commands/mcp.ts"),
};

async function main(argv: string[]): Promise<void> {
  const [verb = "", ...rest] = argv;
  const raw = Object.hasOwn(RAW, verb) ? RAW[verb] : undefined;
  if (raw) return void (await (await raw()).run(rest, {}));
  if (Object.hasOwn(VERBS, verb)) return parsed(argv);
  if (verb === "help" || (argv.length === 1 && (verb === "--help" || verb === "-h"))) return help(rest[0]);
  if (argv.length === 1 && verb === "--version") return write(1, `claudemesh ${version()}\n`);
  await (await import("./commands/run.ts")).run(argv);
}

/** Lets cac read one verb's words. Ids are positionals only: cac turns option values that look like numbers into them. */
async function parsed([name = "", ...words]: string[]): Promise<void> {
  const verb = VERBS[name];
  if (!verb) return;
  const { cac } = await import("cac");
  const cli = cac("claudemesh");
  const command = cli.command(`${name} ${verb.usage}`.trim(), verb.about).option("--json", "print JSON");
  for (const [flag, about] of verb.options ?? []) command.option(flag, about);
  command.action(async (...given: unknown[]) => {
    const options = given.pop() as Options & { "--"?: string[] };
    const args = given.flat().filter((a): a is string => typeof a === "string");
    const all = [...args, ...(options["--"] ?? [])].map((word) => word.replace(SHIELD, ""));
    await (await verb.load()).run(all, options);
  });
  cli.help();
  try {
    cli.parse(["node", "claudemesh", name, ...words.map(shielded)], { run: false });
    await cli.runMatchedCommand();
  } catch (error) {
    if (error instanceof Error && error.name === "CACError")
      throw new MeshError("USAGE", error.message, `see: claudemesh ${name} --help`);
    throw error;
  }
}

const SHIELD = /^\ue000/;
/** A lone dash, and a turn counted from the end (-1), are words; cac would take them for options. */
const shielded = (word: string) => (/^-(\d+|-{2,}|)$/.test(word) ? `\ue000${word}` : word);

function help(name?: string): Promise<void> {
  if (name && Object.hasOwn(VERBS, name)) return parsed([name, "--help"]);
  const lines = Object.entries(VERBS).map(
    ([verb, { usage, about }]) => `  ${`${verb} ${usage}`.trim().padEnd(22)} ${about}`,
  );
  return write(
    1,
    `claudemesh: mail between Claude Code sessions, over nothing but files\n\n` +
      `  ${"[claude args…]".padEnd(22)} claude in the supervisor; also: claudemesh run [claude args…]\n` +
      `  ${"".padEnd(22)} every word that is not below is claude's; --help, -h and --version alone are ours\n${lines.join("\n")}\n` +
      `  ${"hook, mcp".padEnd(22)} called by Claude Code\n\n` +
      `What a session sends because of mail stops after 20 hops, 20 times to and fro a minute, 60 an hour or 240 a day\n` +
      `between two sessions; then you are told, and your prompt begins anew. What you ask for is not slowed.\n\n` +
      `Every verb that prints data takes --json. claudemesh help <verb> shows its options.\n` +
      `Exit: 0 done, 1 could not, 2 usage, 75 try again; run exits as claude did.\n`,
  );
}

/** Says what went wrong, as JSON on stdout if the words asked for JSON. */
function complain(error: unknown, asJson: boolean): void {
  const known = error instanceof MeshError ? error : undefined;
  const hint = known ? known.hint : mendOf(error);
  const message = known?.message ?? (hint ? `can't go on: ${reasonOf(error)} (${String(error)})` : reasonOf(error));
  if (asJson)
    write(
      1,
      `${jsonText({ error: { code: known?.code ?? errnoOf(error) ?? "FAILED", message, hint: hint ?? null } })}\n`,
    ).catch(() => {});
  else say(hint ? `${message}\n${hint}` : message);
  if (!known && process.env.DEBUG === "claudemesh") console.error(error);
}

// Past `ulimit -f` a write is to fail (EFBIG), not to kill: a hook fails open, a send says so.
process.on("SIGXFSZ", () => {});
main(process.argv.slice(2)).catch((error: unknown) => {
  // A reader that has seen enough (`| head`) is no failure.
  if (errnoOf(error) === "EPIPE") return process.exit(0);
  complain(error, Object.hasOwn(VERBS, process.argv[2] ?? "") && process.argv.includes("--json"));
  process.exitCode = exitStatus(error);
});
