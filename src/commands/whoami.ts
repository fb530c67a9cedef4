// `claudemesh whoami`: the session this shell runs under.

import { ownSelf } from "../claude/own-peer.ts";
import { MeshError } from "../errors.ts";
import { print } from "../print.ts";

/** Prints id, name and path; `--json`: the peer. Throws MeshError NOT_IN_A_SESSION in a human's shell. */
export async function run(_args: string[], options: Record<string, unknown>): Promise<void> {
  const { peer, shell } = ownSelf();
  if (!peer)
    throw new MeshError(
      "NOT_IN_A_SESSION",
      `can't say which session this is: ${shell ? `this is ${shell}` : "no claude runs above this shell"}`,
      shell
        ? "what is sent from here says so, and its answers go to the user"
        : "here you are `you`: see claudemesh inbox",
    );
  await print(options, peer, `${peer.id}  ${peer.name}  ${peer.cwd}`);
}
