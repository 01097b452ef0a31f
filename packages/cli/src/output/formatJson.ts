import { toHex } from '@machinefi/core'

/** JSON with bigints as decimal strings and bytes as hex. */
export function formatJson(value: unknown, options: formatJson.Options = {}): string {
  const { indent = 2 } = options
  return JSON.stringify(
    value,
    (_, item) => {
      if (typeof item === 'bigint') return item.toString()
      if (item instanceof Uint8Array) return toHex(item)
      return item
    },
    indent,
  )
}

export declare namespace formatJson {
  type Options = { indent?: number }
}
