// The outline of what lies above the pixel threshold: its inner border, at most one pixel wide.

/** Give 1 on the outline and 0 elsewhere; the picture's edge counts as outside. */
export function traceOutline(
  values: Float32Array,
  columns: number,
  rows: number,
  threshold: number,
): Float32Array {
  const outline = new Float32Array(values.length);
  const isInside = (row: number, column: number) =>
    row >= 0 &&
    row < rows &&
    column >= 0 &&
    column < columns &&
    (values[row * columns + column] ?? 0) > threshold;
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      if (!isInside(row, column)) continue;
      const isCovered =
        isInside(row - 1, column) &&
        isInside(row + 1, column) &&
        isInside(row, column - 1) &&
        isInside(row, column + 1);
      if (!isCovered) outline[row * columns + column] = 1;
    }
  }
  return outline;
}
