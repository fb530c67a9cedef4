// The one error class. `code` is part of the contract (`--json` prints it); the message says verb,
// object, reason; the hint says what to do about it. Imports nothing.

export type ErrorCode =
  | "USAGE"
  | "NO_SUCH_PEER"
  | "AMBIGUOUS_PEER"
  | "NO_SUCH_MESSAGE"
  | "NOT_IN_A_SESSION"
  | "EMPTY_BODY"
  | "TOO_LARGE"
  | "BAD_HOME"
  | "BAD_SETTINGS"
  | "BAD_PATTERN"
  | "NO_CLAUDE"
  | "NO_PTY"
  | "NO_TRANSCRIPT"
  | "NO_SUCH_TURN"
  | "TRY_AGAIN"
  | "TOO_FAST"
  | "TOO_FAR"
  | "REPEATED"
  | "NOT_ANSWERED"
  | "FAILED";

export class MeshError extends Error {
  override readonly name = "MeshError";
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  /** By its name: a verb that is a file of its own has this class once more. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return value instanceof Error && value.name === "MeshError";
  }

  constructor(code: ErrorCode, message: string, hint?: string) {
    super(message);
    this.code = code;
    this.hint = hint;
  }
}

/** Exit status for an error: 2 usage, 75 try again (EX_TEMPFAIL of sysexits.h), 1 anything else. */
export function exitStatus(error: unknown): number {
  if (!(error instanceof MeshError)) return isTemporary(error) ? 75 : 1;
  if (error.code === "USAGE") return 2;
  return ["TRY_AGAIN", "TOO_FAST", "NOT_ANSWERED"].includes(error.code) ? 75 : 1;
}

/** The errno name of a system error (`ENOENT`), or undefined for any other value. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error && "code" in error && typeof error.code === "string")) return undefined;
  // Node has no name for some that the system has one for, EDQUOT among them.
  if (!error.code.startsWith("Unknown system error") || !("errno" in error)) return error.code;
  const { errno } = process.getBuiltinModule("node:os").constants;
  return Object.entries(errno).find(([, number]) => number === -Number(error.errno))?.[0] ?? error.code;
}

/** Runs `action`; the named errnos become undefined, everything else is rethrown untouched. */
export function ignore<T>(errnos: readonly string[], action: () => T): T | undefined {
  try {
    return action();
  } catch (error) {
    if (errnos.includes(errnoOf(error) ?? "")) return undefined;
    throw error;
  }
}

/** Runs `action`: true when it is done, false for one of the named errnos; everything else is rethrown untouched. */
export function succeeds(errnos: readonly string[], action: () => void): boolean {
  return (
    ignore(errnos, () => {
      action();
      return true;
    }) === true
  );
}

/** What the system can be out of, in words, and what to do about it. */
const SHORT: Record<string, [reason: string, hint: string]> = {
  ENOSPC: ["the disk is full", "make room on it, and try again"],
  EDQUOT: ["your disk quota is used up", "make room within it, and try again"],
  EFBIG: ["a file would grow past the limit of this shell (ulimit -f)", "raise the limit"],
  EROFS: ["the file system is read-only", "make it writable, or set CLAUDEMESH_HOME to a folder of yours elsewhere"],
  EMFILE: ["this process has too many files open (ulimit -n)", "raise the limit, or try again"],
  ENFILE: ["this machine has too many files open", "try again"],
  EIO: ["the disk failed", "look at the disk, and try again"],
};

/** True if `error` says that the system could not do it now, and a later try may succeed. */
export const isTemporary = (error: unknown): boolean =>
  ["ENOSPC", "EDQUOT", "EMFILE", "ENFILE", "EAGAIN", "EBUSY", "EIO"].includes(errnoOf(error) ?? "");

/** Why a system call failed, in words where it is for want of something; else as the system says it. */
export const reasonOf = (error: unknown): string =>
  SHORT[errnoOf(error) ?? ""]?.[0] ?? (error instanceof Error ? error.message : String(error));

/** What to do about a system call that failed for want of something. */
export const mendOf = (error: unknown): string | undefined => SHORT[errnoOf(error) ?? ""]?.[1];
