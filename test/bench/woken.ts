// From `send` to the model request of an idle real client, by one bell, beside that bell rung bare in a client without
// claudemesh: a post to its inbox socket, or a write to a file that its own hook watches. Run by woken.mjs in vitest, for
// the harness of test/real; the letter is sent in this process, as the tools of a mail server do.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { addressOf } from "../../src/claude/dispatch.ts";
import { post } from "../../src/claude/inbox-socket.ts";
import { resolveAddress } from "../../src/mesh/address.ts";
import { send } from "../../src/mesh/send.ts";
import { seedHome } from "../real/client.ts";
import { type Session, startSession } from "../real/session.ts";
import { newestText } from "../real/shown.ts";
import { stage } from "../stories/stage.ts";
import { tempHome } from "../temp-home.ts";

const { BENCH_BELL: bell = "", BENCH_ROUNDS: rounds = "", BENCH_TO: to = "" } = process.env;
const { byTurns, now } = (await import(new URL("stats.mjs", import.meta.url).href)) as {
  byTurns(sides: Record<string, (round: number) => Promise<number>>, options: object): Promise<unknown>;
  now(): number;
};
const hook = (command: string, more = {}) => [{ hooks: [{ type: "command", command, ...more }] }];

it(`by ${bell}`, { timeout: 280_000 }, async () => {
  const set = await stage("2.1.332", "bare", { config: { bells: [bell, "hooks"] } });
  process.env.CLAUDEMESH_HOME = set.home.path(".claudemesh");
  const ours = await set.session("api");
  await ours.waitFor(async () => (await set.row("api"))?.bell === bell, `status to name ${bell}`);

  const home = tempHome();
  const cwd = home.folder("bare");
  const watched = join(home.home, "watched");
  writeFileSync(watched, "");
  const watchPaths = JSON.stringify({ hookSpecificOutput: { hookEventName: "SessionStart", watchPaths: [watched] } });
  const hooks = {
    SessionStart: hook(`echo '${watchPaths}'`),
    FileChanged: hook(`cat '${watched}' >&2; exit 2`, { asyncRewake: true }),
  };
  seedHome(home.home, { trust: [cwd], settings: bell === "watcher" ? { hooks } : {} });
  const command = set.home.path("bin", "claude");
  const bare = await startSession({ command, home: home.home, cwd, api: set.api });
  await bare.ready();

  /** The ms from before the ring until the fake API has the request, once that session is idle and its pace is over. */
  const side = (session: Session, ring: (text: string) => unknown) => {
    let last = 0;
    return async (round: number) => {
      await session.waitStatus("idle");
      await session.waitFor(() => now() - last > 1200, "the pace to be over");
      const text = `round ${round} of the bench.`;
      const arrived = new Promise<number>((resolve) => {
        set.api.answer((request) => {
          const at = now();
          if (newestText(request).includes(text)) resolve(at);
          return undefined;
        }, session.id());
      });
      const start = now();
      await ring(text);
      last = await arrived;
      return last - start;
    };
  };
  const recipients = resolveAddress("api");
  const samples = await byTurns(
    {
      floor: side(bare, (text) =>
        bell === "inbox"
          ? post(bare.claude()?.messagingSocketPath ?? "", text, "bench")
          : writeFileSync(watched, `${text}\n`),
      ),
      value: side(ours, (body) => send({ from: addressOf(undefined), to: recipients, body })),
    },
    { rounds: Number(rounds), warmUp: 2 },
  );
  expect(set.api.outside).toEqual([]);
  writeFileSync(to, JSON.stringify(samples));
});
