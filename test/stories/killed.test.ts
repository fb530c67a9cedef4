// The supervisor is killed with no chance to say goodbye: for claude that is its terminal closing.

import { expect, it } from "vitest";
import { commandOf, isRunning, parentOf } from "../../src/mesh/process.ts";
import { versions } from "../real/client.ts";
import { descendants } from "../real/processes.ts";
import { until } from "../temp-home.ts";
import { stage } from "./stage.ts";

it.each(versions)("kill -9 of the supervisor ends claude %s, and its mail waits for its return", async (version) => {
  const { session, row, send, shown, receiptIs } = await stage(version, "supervised");
  const mate = await session("api", { job: true });
  await mate.ask("hello [[say:hello]]");
  const last = mate.id();
  const { id = "", pid = 0 } = (await row("api")) ?? {};
  const supervisor = parentOf(pid) ?? 0;
  const guard = descendants(supervisor).find((one) => commandOf(one).startsWith("/bin/sh -c trap")) ?? 0;
  expect(isRunning(guard)).toBe(true);
  process.kill(supervisor, "SIGKILL");
  await until(() => !isRunning(pid), "claude to end as its terminal is gone");
  await until(() => !isRunning(guard), "the guard to have put the screen back");
  // The shell that it was started from has its terminal back. What it says before the guard is done is on claude's screen.
  mate.type("echo $((20 + 3)) words; exit\r");
  await mate.waitScreen("23 words");
  await mate.exit();
  await until(async () => (await row("api")) === undefined, "the peer to be gone from list");
  const sent = await send(id, "mail for one that was killed");
  await receiptIs(sent.message_id, "queued");

  await session("api", { args: ["--resume", last] });
  expect((await row("api"))?.id).toBe(id);
  expect(await shown("mail for one that was killed")).toBe(1);
  await receiptIs(sent.message_id, "seen");
});
