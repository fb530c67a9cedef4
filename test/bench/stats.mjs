// The arithmetic of the bench: order statistics, the slope of growth, and measuring sides by turns.

/** The value below which the share `p` of the sorted values lies: a value that was measured, none in between. */
export function quantile(values, p) {
  if (!values.length) return Number.NaN;
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(p * sorted.length) - 1)];
}

export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length / 2;
  return sorted.length % 2 ? sorted[Math.floor(half)] : (sorted[half - 1] + sorted[half]) / 2;
}

export const p99 = (values) => quantile(values, 0.99);

/**
 * The b of y = a·x^b by least squares in log-log, over the largest sizes: 0 is "does not grow", 1 is "in proportion".
 * What does not depend on the size at all hides the slope at small ones.
 */
export function exponent(sizes, values, largest = 3) {
  const points = sizes.map((x, i) => [Math.log(x), Math.log(values[i])]).slice(-largest);
  const mean = (at) => points.reduce((sum, point) => sum + point[at], 0) / points.length;
  const [mx, my] = [mean(0), mean(1)];
  const over = points.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0);
  return over / points.reduce((sum, [x]) => sum + (x - mx) ** 2, 0);
}

/** No row takes longer than this by many, in ms, on a slow machine either: it has fewer rounds then. */
const LONG = 8_000;
const LEAST_ROUNDS = 3;

/**
 * Calls every side once a round, in the same order, after rounds that do not count; gives what each returned. Stops
 * before all `rounds` are done if `most` ms have gone by, but not before the third.
 */
export async function byTurns(sides, { rounds, warmUp = 3, most = LONG }) {
  const samples = Object.fromEntries(Object.keys(sides).map((name) => [name, []]));
  const end = now() + most;
  for (let round = -warmUp; round < rounds && (round < LEAST_ROUNDS || now() < end); round++)
    for (const [name, side] of Object.entries(sides)) {
      const sample = await side(round);
      if (round >= 0) samples[name].push(sample);
    }
  return samples;
}

/** Milliseconds on the clock that all processes of the machine share (CLOCK_MONOTONIC on Linux). */
export const now = () => Number(process.hrtime.bigint()) / 1e6;

/** How many ms `action` takes. */
export async function timed(action) {
  const start = now();
  await action();
  return now() - start;
}
