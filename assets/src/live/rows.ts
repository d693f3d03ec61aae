/** What the chart is drawn of. */
export type Row = [time: number, best: number | null, own: number | null];

/** The rows, in order of time, without those that `places` beside each other have no room for; the last one stays. */
export function thinned(rows: readonly Row[], places: number): Row[] {
  const [first, last] = [rows[0]?.[0] ?? 0, rows.at(-1)?.[0] ?? 0];
  let before = -Infinity;
  return rows.filter(([at], place) => {
    if (place < rows.length - 1 && at - before < (last - first) / places) return false;
    before = at;
    return true;
  });
}
