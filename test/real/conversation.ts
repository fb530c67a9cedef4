// The shapes of a Messages API conversation that the tests read, and the text in them. The client writes a content
// now as a string, now as blocks, for the same message: everything here treats the two alike.

export interface Block {
  readonly type: string;
  readonly text?: string;
  readonly id?: string;
  readonly name?: string;
  readonly input?: unknown;
  readonly content?: string | readonly Block[];
  readonly [field: string]: unknown;
}

export interface Message {
  readonly role: string;
  readonly content: string | readonly Block[];
}

/** The blocks of a message; a plain string becomes one text block. */
export function blocksOf(message: Message): readonly Block[] {
  return typeof message.content === "string" ? [{ type: "text", text: message.content }] : message.content;
}

/** All text of a block: its own, or that inside a tool result. */
export function textOf(block: Block): string {
  if (block.type === "text") return block.text ?? "";
  if (block.type !== "tool_result") return "";
  return typeof block.content === "string" ? block.content : (block.content ?? []).map(textOf).join("\n");
}

/** All text that a message shows to the model. */
export function messageText(message: Message): string {
  return blocksOf(message).map(textOf).join("\n");
}
