// A stage for stories with the real client: one home, one fake model API, sessions in folders of their own, started
// through `claudemesh` or bare after `claudemesh install`, and the verbs as a person at a shell would type them.

import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, onTestFinished } from "vitest";
import { ignore } from "../../src/errors.ts";
import type { Peer } from "../../src/mesh/peers.ts";
import { type ClientVersion, claudeBinary, seedHome } from "../real/client.ts";
import { type Answer, type FakeApi, startFakeApi } from "../real/fake-api.ts";
import type { ToolCall } from "../real/markers.ts";
import { type Session, startSession } from "../real/session.ts";
import { newestText, timesShown } from "../real/shown.ts";
import { cli, type Environment, type Finished, type TempHome, tempHome, until } from "../temp-home.ts";

export type Mode = "supervised" | "bare";

export interface Stage {
  readonly home: TempHome;
  readonly api: FakeApi;
  /** Starts a session in the folder `name`; resolves when it is idle at its prompt and on the mesh. */
  session(name: string, options?: ActorOptions): Promise<Actor>;
  /** Runs a verb as the human at a shell. */
  verb(...args: string[]): Promise<Finished>;
  /** Runs a verb with --json and gives what it printed; fails the test if the verb failed. */
  json<T>(...args: string[]): Promise<T>;
  /** `list --json`, by name. */
  row(name: string): Promise<Row | undefined>;
  /** Sends as the human and gives what `send --json` says. */
  send(to: string, body: string, ...options: string[]): Promise<Sent>;
  receipt(id: string): Promise<{ state: string; path: string }>;
  /** Waits until the receipt says `state`. */
  receiptIs(id: string, state: string): Promise<void>;
  /** Waits until the model (of one session, or any) was shown the text, and says how often that has been. */
  shown(text: string, by?: Session): Promise<number>;
  /** Every letter that lies in the mailbox `id`, oldest first. */
  mailbox(id: string): Lying[];
}

/** A letter as it lies in a mailbox: in new/ or with these flags in cur/, and the whole text of its file. */
export interface Lying {
  at: "new" | "cur";
  flags: string;
  message_id: string;
  text: string;
}

/** What `inbox --json` says of a letter. */
export interface Mail {
  message_id: string;
  from: string | null;
  kind: string;
  body: string;
  in_reply_to: string | null;
}

export interface Row {
  id: string;
  name: string;
  state: string;
  unread: number;
  bell: string | null;
  alive: boolean;
  cwd: string;
  pid: number;
}

export interface Sent {
  message_id: string;
  kind: string;
  to: { id: string; name: string; state: string; recipient: string }[];
}

export interface ActorOptions {
  args?: string[];
  env?: Environment;
  /** Flags for the node that the supervisor runs in. */
  node?: string[];
  /** Started by an interactive shell, as a job of it. */
  job?: boolean;
  /** false: resolves at once; else when it is idle at its prompt. */
  ready?: boolean;
  /** false: does not wait for its mail server. */
  settle?: boolean;
}

export type Actor = Session & { readonly name: string };

/** The file name that a message id stands for. */
export const fileOf = (id: string) => id.slice(1, -"@claudemesh>".length);

/** A call of one of our tools by the model. */
export const call = (tool: string, input: Record<string, unknown>): ToolCall => ({
  name: `mcp__plugin_claudemesh_mail__${tool}`,
  input,
});

/** The id in the facts line of the first letter of that kind in a text, or "". */
export const idIn = (text: string, kind = "question") =>
  new RegExp(`claudemesh mail: ${kind} from .*, id (<[^>]+>)`).exec(text)?.[1] ?? "";

/** A header field of a letter's file, or undefined. */
export const field = (text: string, name: string) =>
  new RegExp(`^${name}: (.*)$`, "m").exec(text.split("\n\n")[0] ?? "")?.[1];

/** A model that answers every question it is shown, once each. */
export const answering = (body: string): Answer => {
  const done = new Set<string>();
  return (request) => {
    const message_id = idIn(newestText(request));
    if (!message_id || done.has(message_id)) return undefined;
    done.add(message_id);
    return { tools: [call("reply_to_peer", { message_id, body })] };
  };
};

function lyingIn(box: string): Lying[] {
  const all = (["new", "cur"] as const).flatMap((at) => readdirSync(join(box, at)).map((name) => ({ at, name })));
  const found = all
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap(({ at, name }) => {
      const [unique = "", flags = ""] = name.split(":2,");
      const text = ignore(["ENOENT"], () => readFileSync(join(box, at, name), "utf8"));
      return text === undefined ? [] : { at, flags, message_id: `<${unique}@claudemesh>`, text };
    });
  // One that moves just now lies elsewhere at the next look.
  return found.length === all.length ? found : lyingIn(box);
}

/** Sets the stage; call it inside a test. `config` becomes config.json. */
export async function stage(
  version: ClientVersion,
  mode: Mode,
  { config, settings }: { config?: object; settings?: Record<string, unknown> } = {},
): Promise<Stage> {
  const binary = await claudeBinary(version);
  const home = tempHome();
  onTestFinished(({ task }) => {
    if (task.result?.state === "fail") console.error(readFileSync(home.path(".claudemesh", "log"), "utf8"));
  });
  const bin = home.folder("bin");
  symlinkSync(binary, join(bin, "claude"));
  const api = await startFakeApi();
  onTestFinished(() => api.stop());
  if (config) {
    mkdirSync(home.path(".claudemesh"), { mode: 0o700 });
    writeFileSync(home.path(".claudemesh", "config.json"), JSON.stringify(config));
  }
  const path = `${bin}:${dirname(process.execPath)}:${process.env.PATH}`;
  const verb: Stage["verb"] = (...args) => home.run(args, { env: { PATH: path } });
  const folders = ["web", "api", "ci"].map((name) => home.folder(name));
  seedHome(home.home, { trust: folders, settings: settings ?? {} });
  if (mode === "bare") {
    const installed = await verb("install");
    expect(installed, installed.stderr).toMatchObject({ code: 0 });
  }

  async function json<T>(...args: string[]): Promise<T> {
    const done = await verb(...args, "--json");
    expect(done.code, `${args.join(" ")}: ${done.stdout}${done.stderr}`).toBe(0);
    return JSON.parse(done.stdout) as T;
  }
  const row: Stage["row"] = async (name) => (await json<Row[]>("list")).find((r) => r.name === name);
  const receipt = (id: string) => json<{ state: string; path: string }>("receipt", id);

  return {
    home,
    api,
    verb,
    json,
    row,
    receipt,
    async session(name, { args = [], env = {}, node = [], job = false, ready = true, settle = ready } = {}) {
      const command =
        mode === "supervised" ? [process.execPath, ...node, cli, ...args] : [join(bin, "claude"), ...args];
      const asJob = ["/bin/bash", "--noprofile", "--norc", "-i"];
      const [program = "", ...rest] = job ? asJob : command;
      const session = await startSession({
        command: program,
        args: rest,
        home: home.home,
        cwd: home.folder(name),
        api,
        env,
        path: [bin, dirname(process.execPath)],
      });
      if (job) session.type(`${command.map((word) => `'${word}'`).join(" ")}\r`);
      if (ready) await session.ready();
      if (settle) await session.waitFor(() => hasMailServer(home, session), `${name} to be on the mesh`);
      return Object.assign(session, { name });
    },
    send: (to, body, ...options) => json<Sent>("send", ...options, to, body),
    async receiptIs(id, state) {
      let path: string | undefined;
      const isSo = async () => {
        const before = path;
        path = lyingAt(home, id);
        return path !== before && (await receipt(id)).state === state;
      };
      await until(isSo, `the receipt of ${id} to say ${state}`, 15_000);
    },
    async shown(text, by) {
      await until(() => timesShown(api, text, by?.id()) > 0, `the model to be shown "${text}"`, 20_000);
      return timesShown(api, text, by?.id());
    },
    mailbox: (id) => lyingIn(home.path(".claudemesh", "inbox", id)),
  };
}

// Waits look at the files themselves: a verb is a process, and one after the other takes a processor from the clients.

/** The session files of the mesh, those of sessions that are gone among them. */
export function peerFiles(home: TempHome): Peer[] {
  const folder = home.path(".claudemesh", "peers");
  const names = (ignore(["ENOENT"], () => readdirSync(folder)) ?? []).filter((name) => /^\w+\.json$/.test(name));
  return names.map((name) => JSON.parse(readFileSync(join(folder, name), "utf8")) as Peer);
}

/** True once the session's own mail server attends to its mailbox: what is sent before is not lost, only slower. */
const hasMailServer = (home: TempHome, session: Session): boolean =>
  peerFiles(home).some(({ pid, mcp }) => mcp !== undefined && pid === session.claude()?.pid);

/** Where a letter lies, as `<mailbox>/new/<file>` and the like, which changes with its state; undefined while it moves. */
function lyingAt(home: TempHome, id: string): string | undefined {
  const inbox = home.path(".claudemesh", "inbox");
  const boxes = [...readdirSync(inbox).map((name) => join(inbox, name)), home.path(".claudemesh", "dead")];
  const rooms = boxes.flatMap((box) => [join(box, "new"), join(box, "cur")]);
  const files = rooms.flatMap((room) =>
    (ignore(["ENOENT", "ENOTDIR"], () => readdirSync(room)) ?? []).map((name) => join(room, name)),
  );
  return files.find((path) => path.includes(fileOf(id)));
}
