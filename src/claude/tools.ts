// The tool table: what a model can do on the mesh, over the same functions as the verbs. Results are plain text or
// JSON; an error is the sentence the CLI prints.

import { z } from "zod";
import { jsonText } from "../clean.ts";
import { findPeer } from "../mesh/address.ts";
import { ask } from "../mesh/ask.ts";
import { noteHanded } from "../mesh/handed.ts";
import { updatePeer } from "../mesh/join.ts";
import { oneLine } from "../mesh/message.ts";
import { isAlive, listPeers, type Peer } from "../mesh/peers.ts";
import { type Letter, peek, standStill, take } from "../mesh/receive.ts";
import { reply } from "../mesh/reply.ts";
import { mailJoined } from "../mesh/turn.ts";
import { addressOf, describe, dispatch, recipientOf } from "./dispatch.ts";
import { frames, headOf } from "./prompt.ts";
import { rowsOf } from "./roster.ts";
import { destinationOf } from "./session.ts";
import { lastTurns, turnAt } from "./transcript.ts";
import { transcriptOf } from "./transcript-request.ts";
import { searchTurns } from "./transcript-search.ts";

export interface Tool {
  name: string;
  description: string;
  input: z.ZodRawShape;
  readOnly: boolean;
  /** `self` is the session whose server this is, as registered now */
  run(input: Record<string, unknown>, self: Peer, call: Call): Promise<Result>;
}

/** The call that is being answered: it can be given up, and be told how it goes. */
export interface Call {
  signal: AbortSignal;
  progress(message: string): void;
}

export interface Result {
  text: string;
  /** runs once the text is on its way to the client */
  after?: () => void;
}

const tool = <S extends z.ZodRawShape>(
  name: string,
  description: string,
  input: S,
  readOnly: boolean,
  run: (input: z.output<z.ZodObject<S>>, self: Peer, call: Call) => Promise<Result> | Result,
): Tool => ({
  name,
  description,
  input,
  readOnly,
  run: async (given, self, call) => run(given as z.output<z.ZodObject<S>>, self, call),
});

/** How often, in ms, a waiting call says that it still waits: Claude Code gives up a server that is silent for long. */
const PROGRESS = 10_000;
const json = (value: unknown): Result => ({ text: jsonText(value, 1) });
const who = z.string().describe("id, name or folder of a session");

const pathOf = (id: string, self: Peer) => transcriptOf(findPeer(id, { from: self, describe }));

export const TOOLS: Tool[] = [
  tool("whoami", "This session on claudemesh: id, name, folder.", {}, true, (_, self) => json(self)),

  tool(
    "list_instances",
    "The other Claude Code sessions on claudemesh: id, name, state (idle, busy, asking its user), unread mail, branch, folder, summary.",
    { scope: z.enum(["machine", "repo", "directory"]).optional() },
    true,
    async ({ scope }, self) => {
      const near = (p: Peer) =>
        scope === "repo"
          ? self.repo !== undefined && p.repo === self.repo
          : scope === "directory"
            ? p.cwd === self.cwd
            : true;
      const others = listPeers().filter((p) => p.id !== self.id && isAlive(p) && near(p));
      return others.length ? json(rowsOf(others)) : { text: "No other session is there." };
    },
  ),

  tool(
    "send_message",
    "Sends claudemesh mail to another session, durably. Say what, where, what to do and how to check it. The reply comes by " +
      "itself as mail: do not wait or poll for it, end the turn. The result tells where the letter is and what the recipient is doing.",
    {
      to: z
        .string()
        .describe("id, name or folder of a session; several with commas; * everyone, @repo, @dir; `you` is the user"),
      body: z.string(),
      kind: z
        .enum(["task", "note", "question", "answer"])
        .optional()
        .describe("task: act on it (default). note: for information, wakes nobody. answer: a result or reply"),
      priority: z
        .enum(["now", "next", "low"])
        .optional()
        .describe("now: between two tool calls; next: when the turn ends; low: with the next prompt"),
    },
    false,
    async ({ to, body, kind, priority }, self) => json(await dispatch({ to, body, kind, priority, from: self })),
  ),

  tool(
    "ask_peer",
    "Asks another session a question and waits for its answer, which is the result. Given up or out of time, the answer comes as mail.",
    { to: who, question: z.string(), timeout_s: z.number().int().min(1).max(86_400).optional() },
    false,
    async ({ to, question, timeout_s }, self, { signal, progress }) => {
      const recipient = recipientOf(to, self);
      const began = Date.now();
      const timer = setInterval(
        () => progress(`waiting for ${recipient.name}, ${Math.round((Date.now() - began) / 1000)} s`),
        PROGRESS,
      );
      try {
        const { answer } = await ask(addressOf(self), recipient, question, {
          byModel: true,
          timeout: (timeout_s ?? 300) * 1000,
          signal,
          held: (why) => progress(`still waiting: ${why}`),
        });
        return { text: frames([answer]), after: () => handOver(self, [answer]) };
      } finally {
        clearInterval(timer);
      }
    },
  ),

  tool(
    "reply_to_peer",
    "Answers a letter in its thread: the result of a task, or the answer to a question.",
    { message_id: z.string().describe("the id in the letter's first line"), body: z.string() },
    false,
    ({ message_id, body }, self) => {
      const { message_id: sent, to } = reply(addressOf(self), message_id, body, true);
      return json({ message_id: sent, to: to.map(({ id, name }) => ({ id, name })) });
    },
  ),

  tool(
    "read_inbox",
    "Claudemesh mail that waits for this session. Usually empty, for mail is shown by itself.",
    { drain: z.boolean().optional().describe("false: look without taking (default true)") },
    false,
    async ({ drain }, self) => {
      await standStill(self.id);
      const letters: Letter[] = drain === false ? peek(self.id).letters : take(self.id, () => true);
      if (!letters.length) return { text: "No mail waits." };
      mailJoined(self.id, letters);
      return { text: frames(letters), after: () => drain !== false && handOver(self, letters) };
    },
  ),

  tool(
    "set_summary",
    "Says in one line what this session is working on, for the others' lists.",
    { summary: z.string().max(500) },
    false,
    async ({ summary }, self) => {
      await updatePeer(self.id, { summary: oneLine(summary).slice(0, 200) });
      return { text: "Noted." };
    },
  ),

  tool(
    "read_history",
    "The last turns of another session's transcript.",
    {
      id: who,
      last_n_turns: z.number().int().min(1).max(100).optional(),
      redact: z.boolean().optional().describe("cut long entries (default true)"),
    },
    true,
    async ({ id, last_n_turns, redact }, self) =>
      json(await lastTurns(pathOf(id, self), last_n_turns ?? 5, cap(redact))),
  ),

  tool(
    "search_history",
    "Searches another session's transcript.",
    {
      id: who,
      query: z.string().describe("a substring, or /regex/flags"),
      options: z
        .object({
          context: z.number().int().min(0).max(2000).optional(),
          limit: z.number().int().min(1).max(200).optional(),
        })
        .optional(),
    },
    true,
    async ({ id, query, options }, self) => {
      const hits = [];
      for await (const hit of searchTurns(pathOf(id, self), query, {
        limit: options?.limit ?? 20,
        ...(options?.context !== undefined ? { context: options.context } : {}),
      }))
        hits.push(hit);
      return hits.length ? json(hits) : { text: "Nothing found." };
    },
  ),

  tool(
    "get_turn",
    "One whole turn of another session's transcript.",
    {
      id: who,
      turn_index: z.number().int().describe("as search_history and read_history number them; -1 is the last"),
    },
    true,
    async ({ id, turn_index }, self) => json(await turnAt(pathOf(id, self), turn_index, cap(undefined))),
  ),
];

/** Notes that letters have gone to the session as a tool's result. */
function handOver(peer: Peer, letters: Letter[]): void {
  const to = destinationOf(peer);
  for (const letter of letters) noteHanded(peer.id, letter.unique, headOf(letter, "tool", to));
}

const cap = (redact: boolean | undefined) => (redact === false ? { redact: Number.POSITIVE_INFINITY } : {});
