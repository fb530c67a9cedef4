// `claudemesh whoami`: the session this shell runs under.

import { ownPeer } from "../claude/session.ts";
import { MeshError } from "../errors.ts";
import { print } from "../print.ts";

/** Prints id, name and path; `--json`: the peer. Throws MeshError NOT_IN_A_SESSION in a human's shell. */
export async function run(_args: string[], options: Record<string, unknown>): Promise<void> {
  const peer = ownPeer();
  if (!peer)
    throw new MeshError(
      "NOT_IN_A_SESSION",
      "can't say which session this is: no claude runs above this shell",
      "here you are `you`: see claudemesh inbox",
    );
  await print(options, peer, `${peer.id}  ${peer.name}  ${peer.cwd}`);
}
