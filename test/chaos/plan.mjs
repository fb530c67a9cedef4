// What the processes of the crash test agree on.

/** Mailboxes with one collector each, where every sender's order must hold, and one that several collect from at once. */
export const ORDERED = ["first", "second"];
export const SHARED = "shared";
export const BOXES = [...ORDERED, SHARED];
/** A letter that lies unmarked in cur/ for so many ms is taken back here. */
export const ORPHANED_HERE = 5000;

/** One event in so many is no kill: a collector hangs for longer than that. */
export const HANG_EACH = 200;

/** Numbers in [0, 1) that a seed repeats (mulberry32). */
export function random(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
