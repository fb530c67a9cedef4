// `claudemesh receipt <message-id>`: where that message is, as a fact on disk.

import { stateOf } from "../claude/session.ts";
import { MeshError } from "../errors.ts";
import { messageIdOf, uniqueNameOf } from "../mesh/message.ts";
import { readPeer } from "../mesh/peers.ts";
import { postedNames } from "../mesh/posted.ts";
import { type Receipt, receipts } from "../mesh/receive.ts";
import { print } from "../print.ts";

/** Why it is not seen; what the client holds while it asks its user can't be seen on disk. */
function reasonOf({ to, state, reason }: Receipt): string | undefined {
  const peer = readPeer(to);
  if (state !== "collected" || reason || !peer || !postedNames(to).length) return reason;
  const doing = stateOf(peer);
  if (doing.state !== "asking") return undefined;
  return `its client holds it while it asks its user${doing.waitingFor ? ` (${doing.waitingFor})` : ""}`;
}

/** Prints each place the message lies in: state, since when, recipient, path. `--json`: one object, or an array for a group. */
export async function run([id]: string[], options: Record<string, unknown>): Promise<void> {
  if (!id) throw new MeshError("USAGE", "can't look for a message: no id given", "claudemesh receipt <message-id>");
  const message_id = messageIdOf(uniqueNameOf(id));
  const all = receipts(id).map((r) => ({
    message_id,
    to: r.to,
    state: r.state,
    at: r.at.toISOString(),
    path: r.path,
    ...(reasonOf(r) ? { reason: reasonOf(r) } : {}),
  }));
  const lines = all.map((r) =>
    [r.state, r.at, readPeer(r.to)?.name ?? r.to, r.reason ?? "", r.path].filter(Boolean).join(" "),
  );
  await print(options, all.length === 1 ? all[0] : all, lines.join("\n"));
}
