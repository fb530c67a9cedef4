// Sending as the CLI and the tools do it: the sender is who we are, not who we say; the answer says where each letter
// is and what its recipient is doing. Nobody is told "delivered" when it is not.

import { MeshError } from "../errors.ts";
import { type Recipient, resolveAddress } from "../mesh/address.ts";
import { SHELL } from "../mesh/home.ts";
import {
  type Address,
  DEFAULT_PRIORITY,
  hostName,
  type Kind,
  oneLine,
  type Priority,
  subjectOf,
} from "../mesh/message.ts";
import { notifyHuman, notifyOfLetter } from "../mesh/notify.ts";
import type { Peer } from "../mesh/peers.ts";
import { type State as ReceiptState, receiptIn } from "../mesh/receive.ts";
import { send, settle } from "../mesh/send.ts";
import { ownSelf, type Self } from "./own-peer.ts";
import { bellOf, stateOf } from "./session.ts";

export interface Dispatch {
  to: string;
  body: string;
  from?: Peer | undefined;
  kind?: Kind | undefined;
  priority?: Priority | undefined;
  expires?: Date | undefined;
  queue?: boolean;
  /** asked before it would reach more than MANY: true refuses */
  asksForMany?: () => boolean;
}

export interface Dispatched {
  message_id: string;
  to: { id: string; name: string; state: ReceiptState; recipient: string }[];
  kind: Kind;
}

/** To more than so many, a person at a terminal is asked for --yes. */
const MANY = 5;
/** How long, in ms, a send waits for its letter to be taken before it says what it sees. */
const SETTLE = 300;

/** The human at a shell. */
export const YOU: Address = { id: "you", name: "you", host: hostName() };
export const addressOf = (peer: Peer | undefined): Address =>
  peer
    ? {
        id: peer.id,
        name: peer.name,
        host: peer.host,
        ...(peer.named === "repository" ? { byRepository: true } : {}),
      }
    : YOU;

/** Who sends from this process, and whether the brakes on models hold for it: for all but the user. */
export function sender(self: Self = ownSelf()): { from: Address; byModel: boolean; peer: Peer | undefined } {
  const { peer, shell } = self;
  const from = shell === undefined ? addressOf(peer) : { id: SHELL, name: shell, host: hostName() };
  return { from, byModel: from.id !== YOU.id, peer };
}

/**
 * The mailbox that is this process's own. Throws MeshError NOT_IN_A_SESSION in a shell that a session has started and
 * that is none of it: neither its mail nor the user's is for such a one.
 */
export function ownBox(): string {
  const { from } = sender();
  if (from.id !== SHELL) return from.id;
  throw new MeshError(
    "NOT_IN_A_SESSION",
    `can't tell whose mail is meant: this is ${from.name}`,
    "look at any mailbox with: claudemesh inbox <id> --peek",
  );
}

/** A word on a peer, for the errors that list several. */
export const describe = (peer: Peer) => stateOf(peer).state;

/** The one recipient that a question can have. Throws as resolveAddress does, or MeshError USAGE for a group. */
export function recipientOf(to: string, from: Peer | undefined): Recipient {
  const [only, ...more] = resolveAddress(to, { from, describe });
  if (!only || more.length)
    throw new MeshError("USAGE", `can't ask '${to}': that is ${more.length + 1} sessions`, "ask one; send to several");
  if (only.id === addressOf(from).id)
    throw new MeshError(
      "USAGE",
      `can't ask '${to}': that is this session itself`,
      "see who else is there: claudemesh list",
    );
  return only;
}

/**
 * Sends one letter and looks where it is.
 * Throws the MeshErrors of resolveAddress and send, the brakes' among them, or USAGE for more than MANY recipients.
 */
export async function dispatch(order: Dispatch): Promise<Dispatched> {
  const { from, byModel, peer } = sender(order.from ? { peer: order.from } : undefined);
  const to = resolveAddress(order.to, { from: peer, queue: order.queue ?? false, describe });
  if (to.length > MANY && order.asksForMany?.()) {
    const names = to.map((r) => `  ${r.id}  ${r.name}`).join("\n");
    throw new MeshError(
      "USAGE",
      `can't send to '${order.to}' just like that: it reaches ${to.length}`,
      `add --yes to send to\n${names}`,
    );
  }
  const before = new Map(to.map((r) => [r.id, r.peer && stateOf(r.peer)]));
  const kind = order.kind ?? "task";
  const { priority, expires } = order;
  const sent = send({
    from,
    to,
    body: order.body,
    byModel,
    kind,
    ...(priority ? { priority } : {}),
    ...(expires ? { expires } : {}),
  });
  for (const { id } of to) if (id === "you") notifyOfLetter(sent.unique, from.name, subjectOf(order.body));
  const waking = (priority ?? DEFAULT_PRIORITY[kind]) !== "low";
  if (waking && [...before.values()].some((s) => s?.state === "idle")) await settle(sent, SETTLE);
  for (const r of to)
    if (waking && r.peer && before.get(r.id)?.state === "idle" && ["hooks", undefined].includes(bellOf(r.peer)))
      notifyHuman(`${r.name} can't be woken`, `it reads this with its next prompt: ${subjectOf(order.body)}`);
  return {
    message_id: sent.message_id,
    kind,
    to: to.map((r) => {
      const state = receiptIn(r.id, sent.unique)?.state ?? "seen";
      return { id: r.id, name: r.name, state, recipient: circumstances(r, before.get(r.id), state, waking) };
    }),
  };
}

/** What the recipient is doing, and so what will become of the letter. */
function circumstances(
  r: Recipient,
  was: ReturnType<typeof stateOf> | undefined,
  state: ReceiptState,
  waking: boolean,
): string {
  if (!r.peer || !was)
    return r.id === "you"
      ? "the user, reads it with `claudemesh inbox`"
      : `nobody yet, waits for a session named ${r.name} ${r.folder ? `in ${oneLine(r.folder)}` : "by its folder, --name or /rename"}`;
  if (was.state === "gone") return "gone, will get it on resume";
  if (was.state === "asking")
    return `asking its user${was.waitingFor ? ` (${was.waitingFor})` : ""}, will get it after that`;
  if (was.state === "busy")
    return waking ? "busy, will get it during or after its turn" : "busy, reads it with its next prompt";
  if (!r.peer.hooked) return "idle, no hook of claudemesh runs in it: reads this when its model looks for mail";
  if (!waking) return "idle, reads it with its next prompt";
  const bell = bellOf(r.peer);
  if (!bell || bell === "hooks") return "idle, reads it with its next prompt";
  return state === "queued" ? `idle, being woken by ${bell}` : `idle, woken by ${bell}`;
}
