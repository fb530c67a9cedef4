// The session's own inbox socket (Claude Code 2.1.224+, docs: cross-session messaging): one JSON line in, nothing back.
// It is a bell, never the mail: whether a post arrived is known only when a hook sees it.

import { connect } from "node:net";

/**
 * Posts one text as a user frame to the socket at `path`; resolves when it is written and the connection closed.
 * `from` is the name shown to the user. Rejects with the system error if nobody listens, or after 2 s.
 */
export function post(path: string, text: string, from: string): Promise<void> {
  // The wrapper makes the client show "Message from @name". A body that speaks of the tag could end it, so then none.
  const name = from.replace(/[<>"&\s]+/g, " ").trim();
  const content = /cross-session-message/i.test(text)
    ? text
    : `<cross-session-message from-name="${name}">\n${text}\n</cross-session-message>`;
  const line = JSON.stringify({ type: "user", message: { role: "user", content } });
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.setTimeout(2000, () => socket.destroy(new Error("timed out")));
    socket.on("connect", () => socket.end(`${line}\n`));
    socket.on("error", reject);
    socket.on("close", (failed) => failed || resolve());
    socket.resume();
  });
}

/** True if somebody listens at the socket; says nothing to them. Claude Code's own clients look the same way. */
export function listens(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.setTimeout(2000, () => socket.destroy(new Error("timed out")));
    socket.on("connect", () => socket.destroy());
    socket.on("close", (failed) => resolve(!failed));
    socket.on("error", () => {});
  });
}
