// What the model was shown. A request repeats the whole conversation, so only what is new in it counts: a text in ten
// requests' history was shown once. What our claims of "exactly once" rest on; when in doubt it counts.
//
// - Each session, and each subagent in it, is a conversation of its own.
// - A request continues the latest earlier one of its conversation that begins with the same message.
// - Up to the reply to that one it is history. The client moves and merges hook texts there (user reminder, system
//   message, one block with others), so history is compared by how often the text occurs in it, not where.
// - After that reply everything is new, but for system texts that went missing from the history by the same number.
// - A conversation that continues nothing (after /clear, /compact) is new as a whole, but for blocks that an earlier
//   request of the session had before it.

import { type Block, blocksOf, type Message, textOf } from "./conversation.ts";
import type { ApiRequest, FakeApi } from "./fake-api.ts";

interface Shown {
  readonly text: string;
  /** A reminder or a system message: what the client moves about. */
  readonly movable: boolean;
  /** How many assistant replies lie before it. */
  readonly replies: number;
}

const plain = (text: string) =>
  text
    .replace(/<\/?system-reminder>/g, "")
    .replace(/\s+/g, " ")
    .trim();

/** Everything in a request that is not the model's own word, block by block. */
function shownIn(messages: readonly Message[]): { readonly blocks: readonly Shown[]; readonly replies: number } {
  const blocks: Shown[] = [];
  let replies = 0;
  messages.forEach((message, i) => {
    if (message.role === "assistant") {
      if (messages[i - 1]?.role !== "assistant") replies++;
      return;
    }
    for (const block of blocksOf(message)) {
      const text = textOf(block);
      const movable = message.role === "system" || /^\s*<system-reminder>/.test(text);
      blocks.push({ text, movable, replies });
    }
  });
  return { blocks, replies };
}

const occurrences = (text: string, wanted: string) => text.split(wanted).length - 1;
const total = (blocks: readonly Shown[], wanted: string) =>
  blocks.reduce((sum, block) => sum + occurrences(block.text, wanted), 0);

const beginning = (request: ApiRequest) => {
  const first = request.body.messages[0];
  return first ? blocksOf(first).map((block) => plain(textOf(block))) : [];
};

// Not "equal": a first prompt that got no reply is joined by the next one in the same message.
function continues(later: ApiRequest, earlier: ApiRequest): boolean {
  const blocks = beginning(later);
  return beginning(earlier).every((text, i) => blocks[i] === text);
}

function freshIn(request: ApiRequest, earlier: readonly ApiRequest[], wanted: string): number {
  const now = shownIn(request.body.messages);
  const before = earlier.findLast((one) => continues(request, one));
  if (!before) {
    const known = new Set(
      earlier.flatMap((one) => shownIn(one.body.messages).blocks.map((block) => plain(block.text))),
    );
    return total(
      now.blocks.filter((block) => block.replies === now.replies || !known.has(plain(block.text))),
      wanted,
    );
  }
  const then = shownIn(before.body.messages);
  const shownThen = total(then.blocks, wanted);
  // Cut back (a rewind): what follows the last reply that is left was put to the model anew.
  const replies = now.replies < then.replies ? now.replies - 1 : then.replies;
  const history = total(
    now.blocks.filter((block) => block.replies <= replies),
    wanted,
  );
  const added = now.blocks.filter((block) => block.replies > replies);
  const moved = Math.min(
    now.replies < then.replies ? 0 : Math.max(0, shownThen - history),
    total(
      added.filter((block) => block.movable),
      wanted,
    ),
  );
  return Math.max(0, history - shownThen) + total(added, wanted) - moved;
}

/**
 * How often `text` was shown to the model, by one session or by all; a later request's history does not count. Take a
 * text that the client's own words can't contain.
 */
export function timesShown(api: Pick<FakeApi, "turns">, text: string, sessionId?: string): number {
  const conversations = new Map<string, ApiRequest[]>();
  let times = 0;
  for (const turn of api.turns(sessionId)) {
    const key = `${turn.session} ${turn.agent}`;
    const earlier = conversations.get(key) ?? [];
    times += freshIn(turn, earlier, text);
    conversations.set(key, [...earlier, turn]);
  }
  return times;
}

/** What a request puts to the model after the last reply: the newest prompt, hook texts and tool results. */
export function newestText(request: ApiRequest): string {
  const { blocks, replies } = shownIn(request.body.messages);
  return blocks
    .filter((block) => block.replies === replies)
    .map((block) => block.text)
    .join("\n");
}

/** The tool results in a request, oldest first. */
export function toolResults(request: ApiRequest): readonly string[] {
  const isResult = (block: Block) => block.type === "tool_result";
  return request.body.messages.flatMap((message) => blocksOf(message).filter(isResult).map(textOf));
}
