/** What a command may touch of its process, so that a test can run it in process. */
export type Context = {
  cwd: string
  env: Readonly<Record<string, string | undefined>>
  stdin: AsyncIterable<Uint8Array>
  stderr: Output
  stdout: Output
  /** Aborted by the first SIGINT or SIGTERM. */
  signal: AbortSignal
  /** From the first listener on a SIGHUP no longer ends the process: each is told of it. */
  onHangup(listener: () => void): void
}

export type Output = {
  /** Columns of the terminal; 0 where there is none. */
  columns: number
  isTTY: boolean
  write(text: string): void
}
