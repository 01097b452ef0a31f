/** Formats rows below a header, columns padded; numbers (by `align`) to the right. */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  options: formatTable.Options = {},
): string {
  const { right = [] } = options
  const widths = header.map((title, i) =>
    Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)),
  )
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) =>
        right.includes(i) ? cell.padStart(widths[i] as number) : cell.padEnd(widths[i] as number),
      )
      .join('  ')
      .trimEnd()
  return [line(header), line(widths.map((width) => '─'.repeat(width))), ...rows.map(line)].join(
    '\n',
  )
}

export declare namespace formatTable {
  type Options = {
    /** Columns with numbers. */
    right?: readonly number[]
  }
}
