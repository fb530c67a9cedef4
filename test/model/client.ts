// A model of Claude Code as bells and hooks see it: a session file, a transcript, a queue of prompts, turns with tool calls.
// What is queued becomes a prompt when the session is idle, and is shown between two tool calls when it is not; then 2.1.197
// runs no prompt hook. Newer ones run it, but heed no block; and for what the user sends at once, in the running turn's
// name. What came with a prompt of the user's, or one that was typed for them, is thrown away if another hook blocks it, or if
// Esc comes before the first word while nothing is drafted and no prompt of the user's is queued; all else is kept.

import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { answerHook, type HookInput, type HookOutput, handedOver, MID_TURN } from "../../src/claude/hooks.ts";
import { framedNames } from "../../src/claude/prompt.ts";
import { ignore } from "../../src/errors.ts";
import { bellOf } from "../../src/mesh/maildir.ts";
import { startedAt } from "../../src/mesh/process.ts";

type Prompt = {
  by: "user" | "post" | "typed" | "notice";
  text: string;
  /** what its hook has said already, when it was sent */
  answer?: HookOutput;
};

const INTERRUPTED = "[Request interrupted by user]";

export interface ModelOptions {
  pid: number;
  sessionFile: string;
  /** has an inbox socket, and runs the prompt hook between tool calls: 2.1.329; else 2.1.197 */
  isNew: boolean;
  /** its mailbox's folder, once it has one */
  box: () => string;
  /** called when the session file has changed */
  changed: () => void;
  /** called when a hook has been killed, or not run, or its prompt blocked by another, with the prompt that it was to judge */
  killed: (prompt: string) => void;
  /** called with what is shown without any hook being told: nobody can know that it was */
  untold: (text: string) => void;
}

export class ModelClient {
  status: "idle" | "busy" | "waiting" = "idle";
  /** what the user is writing, or the typist has pasted, or Esc has given back */
  box = "";
  readonly queue: Prompt[] = [];
  /** the unique names of the letters in the conversation, in order */
  readonly shown: string[];
  /** what has gone to the model with a prompt that has no word of an answer yet */
  private begun: { by: Prompt["by"]; text: string; names: string[] } | undefined;
  /** the client takes the next post and says nothing of it any more */
  dropsNext = false;
  /** the next hook is killed before anybody has read what it says */
  killsNext = false;
  /** the next hook is not run */
  skipsNext = false;
  /** another hook blocks the next prompt */
  blocksNext = false;
  /** it stands still once the next prompt's hook has answered, before its session file says that it is busy */
  stallsNext = false;
  /** no hook runs any more */
  hooksOff = false;
  /** it keeps no transcript */
  writesNothing = false;
  /** how often something has been put before it by a bell */
  puts = 0;
  /** it draws nothing, reads nothing and begins nothing: by a move, or because of stallsNext */
  get isFrozen(): boolean {
    return this.freezes > 0;
  }
  private freezes = 0;
  /** Stands still for so long, in ms of the test's time. */
  async freeze(ms: number): Promise<void> {
    this.freezes++;
    await new Promise<void>((resolve) => setTimeout(resolve, ms));
    this.freezes--;
  }
  sessionId = "s0";
  private readonly options: ModelOptions;
  private turns = 0;
  private isContinued = false;
  private isOver = false;
  private rung = "";
  private watching: Promise<void> | undefined;
  private beginning: Promise<void> | undefined;

  /** `shown`: what the session's transcript has already. */
  constructor(options: ModelOptions, shown: string[] = []) {
    this.options = options;
    this.shown = shown;
    this.write();
  }

  get transcript(): string {
    return `${this.options.sessionFile.replace(/[^/]*$/, "")}${this.sessionId}.jsonl`;
  }
  private line(fields: object): void {
    if (this.writesNothing) return;
    appendFileSync(this.transcript, `${JSON.stringify(fields)}\n`);
  }
  private context(hookEvent: string, text: string | undefined): void {
    if (text)
      this.line({ type: "attachment", attachment: { type: "hook_additional_context", hookEvent, content: [text] } });
  }

  write(): void {
    const { pid, sessionFile, isNew } = this.options;
    const socket = isNew ? { messagingSocketPath: "/model.sock" } : {};
    const fields = { pid, procStart: startedAt(pid), sessionId: this.sessionId, status: this.status, ...socket };
    const statusUpdatedAt = this.statusSince;
    writeFileSync(sessionFile, JSON.stringify({ ...fields, statusUpdatedAt, version: isNew ? "2.1.329" : "2.1.197" }));
  }
  private statusSince = Date.now();
  private set(status: typeof this.status): void {
    this.status = status;
    // Time stands still meanwhile, which it does for no real client.
    this.statusSince = Date.now() === this.statusSince ? this.statusSince + 1 : Date.now();
    this.write();
    this.options.changed();
  }

  /** Runs a hook, and reads what it says unless it is killed first. */
  async hook(event: string, fields: HookInput = {}): Promise<HookOutput> {
    if (this.hooksOff) return {};
    const { killsNext, skipsNext } = this;
    if (event !== "FileChanged") this.skipsNext = false;
    this.killsNext = false;
    if (skipsNext && event !== "FileChanged" && event !== "SessionStart") {
      this.options.killed(fields.prompt ?? "");
      return {};
    }
    const prompt_id = `turn-${this.options.pid}-${this.turns}`;
    const input = { session_id: this.sessionId, cwd: "/", transcript_path: this.transcript, prompt_id, ...fields };
    // What the script does to the state file.
    const state = `${this.options.box()}/state`;
    const was = ignore(["ENOENT"], () => readFileSync(state, "utf8").trim());
    if (event === "UserPromptSubmit" && was) process.env.CLAUDEMESH_WAS = was;
    else delete process.env.CLAUDEMESH_WAS;
    if (was !== undefined && event !== "FileChanged")
      writeFileSync(state, event === "Stop" || event === "SessionStart" ? "idle\n" : "busy\n");
    const own = { claude: this.options.pid };
    const answer = await answerHook(event, input, Date.now(), own);
    if (killsNext) {
      this.options.killed(fields.prompt ?? "");
      return {};
    }
    handedOver(answer);
    return answer;
  }
  private show(...texts: (string | undefined)[]): void {
    for (const text of texts) if (text) this.shown.push(...framedNames(text));
  }
  private contextOf({ json }: HookOutput): string | undefined {
    return (json?.hookSpecificOutput as { additionalContext?: string } | undefined)?.additionalContext;
  }

  post(text: string): void {
    this.puts++;
    // It is held for the hooks then, and later ones may overtake it.
    if (this.dropsNext) this.options.killed("");
    else this.queue.push({ by: "post", text });
    this.dropsNext = false;
  }

  /** Begins with what is queued, if the session is idle; to be called as time passes. */
  begins(): void {
    if (this.status !== "idle" || this.beginning || this.isOver || this.isFrozen) return;
    const next = this.queue.shift();
    if (!next) return;
    this.beginning = this.begin(next).finally(() => {
      this.beginning = undefined;
    });
  }

  /** The session goes on by one step: a dialog is answered, or there is a tool call, or (`ends`) the turn ends. */
  async goOn(ends: boolean): Promise<void> {
    this.begins();
    if (this.beginning) return this.beginning;
    if (this.isFrozen) return;
    if (this.status === "waiting") this.set("busy");
    else if (this.status === "busy") {
      this.answers();
      await (ends ? this.end() : this.callTool());
    }
  }
  private async begin({ by, text, answer: given }: Prompt): Promise<void> {
    const { stallsNext } = this;
    this.stallsNext = false;
    if (stallsNext) this.status = "busy";
    else this.set("busy");
    this.isContinued = false;
    this.turns++;
    const answer = given ?? (await this.hook("UserPromptSubmit", { prompt: text }));
    if (stallsNext) {
      await this.freeze(7000);
      this.set("busy");
    }
    const isBlocked = this.blocksNext;
    if (isBlocked) this.options.killed(text);
    this.blocksNext = false;
    if (answer.json?.decision === "block" || isBlocked) return this.set("idle");
    const context = this.contextOf(answer);
    this.line({ type: "user", message: { role: "user", content: text } });
    this.context("UserPromptSubmit", context);
    this.begun = { by, text, names: [text, context ?? ""].flatMap(framedNames) };
  }
  /** The first word of the answer: what it answers is in the conversation for good. */
  private answers(): void {
    this.shown.push(...(this.begun?.names ?? []));
    this.begun = undefined;
    this.line({ type: "assistant", message: { role: "assistant", content: [{ type: "text", text: "ok" }] } });
  }
  private async callTool(): Promise<void> {
    const context = this.contextOf(await this.hook("PostToolUse"));
    this.context("PostToolUse", context);
    this.show(context);
    for (const { text, answer: given } of this.queue.splice(0)) {
      const answer = given ?? (this.options.isNew ? await this.hook("UserPromptSubmit", { prompt: text }) : {});
      if (!this.options.isNew) this.options.untold(text);
      this.line({ type: "attachment", attachment: { type: "queued_command", prompt: text } });
      this.context("UserPromptSubmit", this.contextOf(answer));
      this.show(text, this.contextOf(answer));
    }
  }
  private async end(): Promise<void> {
    const context = this.contextOf(await this.hook("Stop", { stop_hook_active: this.isContinued }));
    this.isContinued = context !== undefined;
    this.context("Stop", context);
    this.show(context);
    if (!this.isContinued) this.set("idle");
  }
  private giveBack(text: string): void {
    this.box = text;
    // What came with it may come again with a later one of its sender.
    this.options.killed("");
  }
  /** The user's Esc: no hook is told. */
  escape(): void {
    if (this.status === "idle" || this.beginning || this.isFrozen) return;
    const { begun } = this;
    this.begun = undefined;
    const isUsers = ({ by }: Prompt) => by === "user";
    if (begun && (begun.by === "user" || begun.by === "typed") && this.box === "" && !this.queue.some(isUsers))
      this.giveBack(begun.text);
    else {
      this.shown.push(...(begun?.names ?? []));
      this.line({ type: "user", message: { role: "user", content: INTERRUPTED } });
    }
    this.set("idle");
  }
  ask(): void {
    if (this.status === "busy" && !this.beginning && !this.begun) this.set("waiting");
  }
  /** The user sends a prompt: their own words, or what Esc has given back. */
  async prompt(): Promise<void> {
    const text = this.box && this.box !== "a draft" ? this.box : "words of the user's";
    if (this.box === "a draft" || this.isPasting || this.isFrozen) return;
    await this.beginning;
    // Nobody is that quick.
    if (this.status !== "idle" && Date.now() - this.statusSince <= MID_TURN) return;
    this.box = "";
    const prompt: Prompt = { by: "user", text };
    if (this.options.isNew && this.status !== "idle")
      prompt.answer = await this.hook("UserPromptSubmit", { prompt: text });
    this.queue.push(prompt);
  }
  /** The typist's paste is in the box. */
  isPasting = false;
  async clear(): Promise<void> {
    if (this.status !== "idle" || this.beginning || this.box !== "" || this.isFrozen) return;
    await this.hook("SessionEnd", { reason: "clear" });
    this.sessionId += "c";
    this.write();
    await this.hook("SessionStart", { source: "clear" });
  }

  /** Started again with `--resume`: the last prompt of the transcript is in the conversation, taken back or not. */
  async resume(): Promise<void> {
    if (existsSync(this.transcript)) {
      const lines = readFileSync(this.transcript, "utf8").split("\n").filter(Boolean);
      const all = lines.map((line) => JSON.parse(line));
      const isPrompt = ({ type, message }: { type: string; message?: { content: unknown } }) =>
        type === "user" && message?.content !== INTERRUPTED;
      const texts = all
        .slice(Math.max(0, all.findLastIndex(isPrompt)))
        .map((line) => String(line.message?.content ?? line.attachment?.content?.[0] ?? ""));
      const known = new Set(this.shown);
      const again = [...new Set(texts.flatMap(framedNames))].filter((name) => !known.has(name));
      this.shown.push(...again);
      // What had been taken back comes after what was shown meanwhile.
      if (again.length) this.options.killed("");
      this.line({
        type: "assistant",
        message: { role: "assistant", content: [{ type: "text", text: "No response requested." }] },
      });
    }
    await this.hook("SessionStart", { source: "resume" });
  }

  /** Nothing more begins; resolves when no hook is at work. In truth hooks die with it; here they share one environment. */
  async stop(): Promise<void> {
    this.isOver = true;
    await Promise.all([this.beginning, this.watching]);
  }

  /** Claude Code's own watcher: the hook runs beside all else, and may wake the session with a line. */
  watch(): void {
    const bell = bellOf(this.options.box());
    const now = ignore(["ENOENT"], () => readFileSync(bell, "utf8")) ?? "";
    if (now === this.rung || this.watching || this.isOver || this.isFrozen) return;
    this.rung = now;
    const run = async () => {
      const { exit, stderr = "" } = await this.hook("FileChanged", { file_path: bell });
      if (exit !== 2) return;
      this.puts++;
      this.queue.push({ by: "notice", text: stderr.trim() });
    };
    this.watching = run().finally(() => {
      this.watching = undefined;
    });
  }
}
