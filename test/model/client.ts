// A model of Claude Code as bells and hooks see it: a session file, a queue of prompts, turns with tool calls. What is
// queued becomes a prompt when the session is idle, and is shown between two tool calls when it is not; then 2.1.197 runs
// no prompt hook, and newer ones run it but heed no block.

import { readFileSync, writeFileSync } from "node:fs";
import { answerHook, type HookInput, type HookOutput } from "../../src/claude/hooks.ts";
import { framedNames } from "../../src/claude/prompt.ts";
import { ignore } from "../../src/errors.ts";
import { bellOf } from "../../src/mesh/maildir.ts";
import { markSeen } from "../../src/mesh/owed.ts";
import { startedAt } from "../../src/mesh/process.ts";

type Prompt = { by: "user" | "post" | "typed" | "notice"; text: string };

export interface ModelOptions {
  pid: number;
  sessionFile: string;
  /** has an inbox socket, and runs the prompt hook between tool calls: 2.1.329; else 2.1.197 */
  isNew: boolean;
  /** its mailbox's folder, once it has one */
  box: () => string;
  /** called when the session file has changed */
  changed: () => void;
  /** called when a hook has been killed, with what it had to say and the prompt that it was to judge */
  killed: (answer: HookOutput, prompt: string) => void;
  /** called with what is shown without any hook being told: nobody can know that it was */
  untold: (text: string) => void;
}

export class ModelClient {
  status: "idle" | "busy" | "waiting" = "idle";
  /** what the user is writing, or the typist has pasted */
  box = "";
  readonly queue: Prompt[] = [];
  /** the unique names of the letters that the model was shown, in order */
  readonly shown: string[];
  /** the client takes the next post and says nothing of it any more */
  dropsNext = false;
  /** the next hook is killed before anybody has read what it says */
  killsNext = false;
  sessionId = "s0";
  private readonly options: ModelOptions;
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

  write(): void {
    const { pid, sessionFile, isNew } = this.options;
    const socket = isNew ? { messagingSocketPath: "/model.sock" } : {};
    const fields = { pid, procStart: startedAt(pid), sessionId: this.sessionId, status: this.status, ...socket };
    writeFileSync(sessionFile, JSON.stringify({ ...fields, version: isNew ? "2.1.329" : "2.1.197" }));
  }
  private set(status: typeof this.status): void {
    this.status = status;
    this.write();
    this.options.changed();
  }

  /** Runs a hook, and reads what it says unless it is killed first. */
  async hook(event: string, fields: HookInput = {}): Promise<HookOutput> {
    const isKilled = this.killsNext;
    this.killsNext = false;
    const answer = await answerHook(event, { session_id: this.sessionId, cwd: "/", ...fields });
    if (isKilled) {
      this.options.killed(answer, fields.prompt ?? "");
      return {};
    }
    if (answer.shown) markSeen(answer.shown.id, answer.shown.letters);
    return answer;
  }
  private show(...texts: (string | undefined)[]): void {
    for (const text of texts) if (text) this.shown.push(...framedNames(text));
  }
  private contextOf({ json }: HookOutput): string | undefined {
    return (json?.hookSpecificOutput as { additionalContext?: string } | undefined)?.additionalContext;
  }

  post(text: string): void {
    if (!this.dropsNext) this.queue.push({ by: "post", text });
    this.dropsNext = false;
  }

  /** Begins with what is queued, if the session is idle; to be called as time passes. */
  begins(): void {
    if (this.status !== "idle" || this.beginning || this.isOver) return;
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
    if (this.status === "waiting") this.set("busy");
    else if (this.status === "busy") await (ends ? this.end() : this.callTool());
  }
  private async begin({ text }: Prompt): Promise<void> {
    this.set("busy");
    this.isContinued = false;
    const answer = await this.hook("UserPromptSubmit", { prompt: text });
    if (answer.json?.decision === "block") this.set("idle");
    else this.show(text, this.contextOf(answer));
  }
  private async callTool(): Promise<void> {
    this.show(this.contextOf(await this.hook("PostToolUse")));
    for (const { text } of this.queue.splice(0)) {
      const answer = this.options.isNew ? await this.hook("UserPromptSubmit", { prompt: text }) : {};
      if (!this.options.isNew) this.options.untold(text);
      this.show(text, this.contextOf(answer));
    }
  }
  private async end(): Promise<void> {
    const context = this.contextOf(await this.hook("Stop", { stop_hook_active: this.isContinued }));
    this.isContinued = context !== undefined;
    this.show(context);
    if (!this.isContinued) this.set("idle");
  }
  /** The user's Esc: no hook is told. */
  escape(): void {
    if (this.status !== "idle" && !this.beginning) this.set("idle");
  }
  ask(): void {
    if (this.status === "busy" && !this.beginning) this.set("waiting");
  }
  /** The user sends a prompt, if the box is theirs. */
  prompt(): void {
    if (this.box === "") this.queue.push({ by: "user", text: "words of the user's" });
  }
  async clear(): Promise<void> {
    if (this.status !== "idle" || this.beginning || this.box !== "") return;
    await this.hook("SessionEnd", { reason: "clear" });
    this.sessionId += "c";
    this.write();
    await this.hook("SessionStart", { source: "clear" });
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
    if (now === this.rung || this.watching || this.isOver) return;
    this.rung = now;
    const run = async () => {
      const { exit, stderr = "" } = await this.hook("FileChanged", { file_path: bell });
      if (exit === 2) this.queue.push({ by: "notice", text: stderr.trim() });
    };
    this.watching = run().finally(() => {
      this.watching = undefined;
    });
  }
}
