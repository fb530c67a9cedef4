// A stand-in for a program with a prompt box, for the typist. Box: a rule, `> text`, a rule. Takes keys, bracketed
// pastes, Ctrl-U (cuts one line), Ctrl-T (opens and closes a dialog). SUBMITTED names a file that gets one JSON line
// for each Enter: {prompt} or, in the dialog, {dialog:true}. ON_PASTE: `dialog` opens it when a paste comes, `slow`
// shows the paste only at the next SIGUSR1, `extra` draws a line more with it, `deaf` ignores the first Enter.
import { appendFileSync } from "node:fs";

const { SUBMITTED, ON_PASTE } = process.env;
const log = (entry) => appendFileSync(SUBMITTED, `${JSON.stringify(entry)}\n`);
let text = "";
let late = "";
let inDialog = false;
let extra = false;
let deaf = ON_PASTE === "deaf";
let pending = "";

function draw() {
  const rule = "-".repeat(40);
  const box = inDialog ? ["Do you want this?", "  1. Yes"] : [rule, `> ${text.replaceAll("\n", "\r\n  ")}`, rule];
  process.stdout.write(`\x1b[2J\x1b[Htranscript\r\n${extra ? "more\r\n" : ""}${box.join("\r\n")}`);
}

function paste(what) {
  if (ON_PASTE === "slow") late = what;
  else text += what;
  if (ON_PASTE === "dialog") inDialog = true;
  if (ON_PASTE === "extra") extra = true;
}

function key(byte) {
  if (byte === "\x14") inDialog = !inDialog;
  else if (byte === "\r" && inDialog) log({ dialog: true });
  else if (byte === "\r" && deaf) deaf = false;
  else if (byte === "\r") {
    log({ prompt: text });
    text = "";
  } else if (byte === "\x15") text = text.endsWith("\n") ? text.slice(0, -1) : text.replace(/[^\n]*$/, "");
  else if (byte === "\x11") process.exit(0);
  else if (byte >= " ") text += byte;
}

process.stdin.setRawMode(true);
process.stdin.setEncoding("utf8").on("data", (data) => {
  pending += data;
  while (pending !== "") {
    if (pending.startsWith("\x1b[200~")) {
      const end = pending.indexOf("\x1b[201~");
      if (end < 0) break;
      paste(pending.slice(6, end));
      pending = pending.slice(end + 6);
    } else if (/^\x1b\[[IO]/.test(pending)) pending = pending.slice(3);
    else {
      key(pending[0]);
      pending = pending.slice(1);
    }
  }
  draw();
});
process.on("SIGUSR1", () => {
  text += late;
  late = "";
  draw();
});
process.stdout.on("resize", draw);
process.stdout.write("\x1b[?2004h");
draw();
