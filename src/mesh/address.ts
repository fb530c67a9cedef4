// The one resolver from what people write to who is meant, for every verb and tool: exact id, then name or folder,
// then a unique id prefix; `*`, `@repo`, `@dir` and lists; `you` is the human. The sender is never in a group.

import { basename } from "node:path";
import { MeshError } from "../errors.ts";
import { hostName, oneLine } from "./message.ts";
import { cleanName, nameKey, queueId } from "./name.ts";
import { isAlive, listPeers, type Peer } from "./peers.ts";
import { projectOf } from "./project.ts";

export { listPeers } from "./peers.ts";

export interface Recipient {
  /** names the mailbox: a peer's id, `you`, or `@name` for whoever joins under that name */
  id: string;
  name: string;
  host: string;
  peer?: Peer;
  /** where mail waits for a name: the folder of the session that is meant, if that is known */
  folder?: string;
}

export interface Asking {
  /** who asks: left out of groups, and the origin of `@repo` and `@dir` */
  from?: Peer | undefined;
  /** take a name with nobody there as a place where mail waits */
  queue?: boolean;
  /** a few words on a peer, for the errors that list several */
  describe?: (peer: Peer) => string;
}

/**
 * The one peer that `who` names, live or (by id only) gone.
 * Throws MeshError NO_SUCH_PEER or AMBIGUOUS_PEER with a hint listing who is there.
 */
export function findPeer(who: string, asking: Asking = {}): Peer {
  const peers = listPeers();
  const wanted = who.trim().toLowerCase();
  const exact = peers.find((p) => p.id === wanted);
  if (exact) return exact;
  const live = peers.filter((p) => isAlive(p));
  const named = live.filter((p) => answersTo(p, nameKey(who.trim())));
  const prefixed = (all: Peer[]) => (wanted.length >= 4 ? all.filter((p) => p.id.startsWith(wanted)) : []);
  for (const found of [named, prefixed(live), prefixed(peers)]) {
    if (found[0] && found.length === 1) return found[0];
    if (found.length > 1)
      throw new MeshError(
        "AMBIGUOUS_PEER",
        `can't tell who '${who}' is: ${found.length} sessions answer to it`,
        lines("use an id:", found, asking),
      );
  }
  throw new MeshError(
    "NO_SUCH_PEER",
    `can't find '${who}': no such session`,
    live.length ? lines("who is there:", live, asking) : "nobody is there: start a session with `claudemesh`",
  );
}

const answersTo = ({ name, cwd }: Peer, key: string) => nameKey(name) === key || nameKey(basename(cwd)) === key;

/** The recipients that `to` names, at least one. Throws as findPeer does; an empty group is NO_SUCH_PEER. */
export function resolveAddress(to: string, asking: Asking = {}): Recipient[] {
  const wanted = to.trim();
  if (!wanted) throw new MeshError("USAGE", "can't send: no address given", "claudemesh send <to> <text…>");
  if (nameKey(wanted) === "you") return [{ id: "you", name: "you", host: hostName() }];
  const group = groupOf(wanted, asking);
  if (group) {
    if (!group.length)
      throw new MeshError(
        "NO_SUCH_PEER",
        `can't send to '${wanted}': nobody else is there`,
        "see: claudemesh list --all",
      );
    return group.map(recipient);
  }
  // No name has a comma, and a folder's that has one is not to catch what is meant for several.
  if (wanted.includes(",")) {
    const all = wanted.split(",").flatMap((one) => resolveAddress(one, asking));
    return all.filter((r, i) => all.findIndex((other) => other.id === r.id) === i);
  }
  try {
    return [recipient(findPeer(wanted, asking))];
  } catch (error) {
    if (!(error instanceof MeshError) || error.code !== "NO_SUCH_PEER") throw error;
    if (!asking.queue) throw error;
    const name = cleanName(wanted)?.name;
    if (name === undefined)
      throw new MeshError(
        "NO_SUCH_PEER",
        `can't queue for '${wanted}': no session can have that name`,
        "use the name or the folder of the session to come",
      );
    const folder = folderOf(name, asking);
    return [{ id: queueId(name), name, host: hostName(), ...(folder ? { folder } : {}) }];
  }
}

/**
 * The folder that is meant by a name of which nobody is there: the sender's own, if its repository gives that name;
 * else the one in which sessions so named have been. Whom a repository called so counts only if nobody else was.
 */
function folderOf(name: string, { from }: Asking): string | undefined {
  const key = nameKey(name);
  const own = projectOf(from?.cwd ?? process.cwd());
  if (own.name !== undefined && nameKey(cleanName(own.name)?.name ?? "") === key) return own.root;
  const gone = listPeers().filter((p) => answersTo(p, key));
  const known = gone.filter((p) => p.named !== "repository" || nameKey(basename(p.cwd)) === key);
  const [only, ...more] = new Set((known.length ? known : gone).map((p) => p.cwd));
  return more.length ? undefined : only;
}

function groupOf(to: string, { from }: Asking): Peer[] | undefined {
  const others = () => listPeers().filter((p) => p.id !== from?.id && isAlive(p));
  if (to === "*") return others();
  if (to === "@repo") {
    const repo = from ? from.repo : projectOf(process.cwd()).repo;
    return others().filter((p) => p.repo !== undefined && p.repo === repo);
  }
  if (to === "@dir") return others().filter((p) => p.cwd === (from?.cwd ?? process.cwd()));
  return undefined;
}

const recipient = (peer: Peer): Recipient => ({ id: peer.id, name: peer.name, host: peer.host, peer });

function lines(head: string, peers: Peer[], { describe = (p) => (isAlive(p) ? "live" : "gone") }: Asking): string {
  // A folder's name may hold a newline: it would be a line of its own here.
  return [head, ...peers.map((p) => `  ${oneLine(`${p.id}  ${p.name}  ${p.cwd}  (${describe(p)})`)}`)].join("\n");
}
