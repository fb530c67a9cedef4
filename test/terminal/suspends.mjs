// A full-screen program that suspends itself at Ctrl-Z, as Claude Code does: modes off, a word, SIGTSTP to its own
// group, modes on again at SIGCONT. With HOW=stop it sends itself SIGSTOP, which no kernel ignores;
// with HOW=late it takes its time over that, with HOW=deaf it does nothing.
process.stdin.setRawMode(true);
const on = () => process.stdout.write("\x1b[?1049h\x1b[?2004hREADY\r\n");
process.on("SIGCONT", () => {
  process.stdin.setRawMode(true);
  on();
  process.stdout.write("BACK\r\n");
});
process.stdin.on("data", (keys) => {
  const isDeaf = process.env.HOW === "deaf";
  if ((!isDeaf && keys.includes(0x1a)) || keys.includes("\x1b[122;5u") || keys.includes("\x1b[27;5;122~")) {
    process.stdout.write("\x1b[?2004l\x1b[?1049lsuspended\r\n");
    process.stdin.setRawMode(false);
    const stop = () => process.kill(process.pid, "SIGSTOP");
    if (process.env.HOW === "stop") stop();
    else if (process.env.HOW === "late") setTimeout(stop, 300);
    else process.kill(0, "SIGTSTP");
  } else if (keys.includes("q")) {
    process.stdout.write("\x1b[?2004l\x1b[?1049l");
    process.exit(3);
  } else process.stdout.write(`got ${keys.toString("hex")}\r\n`);
});
on();
