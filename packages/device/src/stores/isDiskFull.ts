/** Whether an error says that there is no room: on the disk, or within a quota. */
export function isDiskFull(error: unknown): boolean {
  const { code = '' } = Object(error) as NodeJS.ErrnoException
  return code === 'ENOSPC' || code === 'EDQUOT'
}
