// Where the members of a JSON file's top-level object lie in its text, so that one can be cut out or put in and
// all else stays byte for byte. Invariant: whatever JSON.parse refuses is refused here, with line and column.

export interface Member {
  /** the key as JSON reads it: `"status\u004cine"` is `statusLine` */
  key: string;
  /** where the key's opening quote stands */
  start: number;
  keyEnd: number;
  valueStart: number;
  end: number;
}

export interface TopLevel {
  /** where the object's braces stand */
  open: number;
  close: number;
  members: Member[];
}

const DEEPEST = 500;

/**
 * Finds the top-level members of a JSON object; a byte order mark before it is passed over.
 * Throws SyntaxError "line 3, column 7: why" for anything else, and for a key that stands twice at the top.
 */
export function membersOf(text: string): TopLevel {
  const begin = text.startsWith("\ufeff") ? 1 : 0;
  let at = begin;

  function fail(why: string, where = at): never {
    const before = text.slice(begin, where).split("\n");
    throw new SyntaxError(`line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}: ${why}`);
  }
  function unexpected(wanted: string): never {
    const next = text.slice(at, at + 2);
    if (next === "//" || next === "/*") fail("comments are not allowed here, Claude Code skips such a file");
    return fail(at >= text.length ? `the text ends where ${wanted} is due` : `${wanted} is due here`);
  }
  function skipSpace(): void {
    while (" \t\n\r".includes(text[at] ?? "?")) at++;
  }
  function match(token: RegExp, wanted: string): string {
    token.lastIndex = at;
    const found = token.exec(text)?.[0];
    if (found === undefined) return unexpected(wanted);
    at += found.length;
    return found;
  }
  function string(): string {
    const start = at;
    if (text[at] !== '"') unexpected("a key in double quotes");
    for (at++; text[at] !== '"'; at++) {
      if (at >= text.length || text.charCodeAt(at) < 0x20) fail("this string has no end on its line", start);
      if (text[at] !== "\\") continue;
      at++;
      if (!/["\\/bfnrt]|u[\da-fA-F]{4}/y.test(text.slice(at, at + 5))) fail("no such escape in JSON", at - 1);
    }
    return text.slice(start, ++at);
  }
  /** The commas and the closing bracket of an object or an array: `item` reads one entry. */
  function list(closer: string, depth: number, item: () => void): void {
    if (depth > DEEPEST) fail("nested too deep");
    at++;
    for (skipSpace(); text[at] !== closer; skipSpace()) {
      item();
      skipSpace();
      if (text[at] === closer) break;
      const comma = at;
      if (text[at] !== ",") unexpected(`a comma or ${closer}`);
      at++;
      skipSpace();
      if (text[at] === closer) fail(`a comma with nothing after it before ${closer}`, comma);
    }
    at++;
  }
  function object(depth: number, seen?: (member: Member) => void): void {
    list("}", depth, () => {
      const start = at;
      const raw = string();
      const keyEnd = at;
      skipSpace();
      if (text[at] !== ":") unexpected("a colon");
      at++;
      skipSpace();
      const valueStart = at;
      value(depth + 1);
      seen?.({ key: JSON.parse(raw), start, keyEnd, valueStart, end: at });
    });
  }
  function value(depth: number): void {
    const first = text[at];
    if (first === "{") object(depth);
    else if (first === "[") list("]", depth, () => value(depth + 1));
    else if (first === '"') string();
    else match(/true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y, "a value");
  }

  skipSpace();
  const open = at;
  if (text[at] !== "{") unexpected("an object, `{`,");
  const members: Member[] = [];
  const keys = new Set<string>();
  object(0, (member) => {
    if (keys.has(member.key)) fail(`${JSON.stringify(member.key)} stands here for the second time`, member.start);
    keys.add(member.key);
    members.push(member);
  });
  const close = at - 1;
  skipSpace();
  if (at < text.length) unexpected("the end of the text");
  return { open, close, members };
}
