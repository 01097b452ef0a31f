import { BaseError } from '@machinefi/core'

/** Parses the URL of a node or a chain: with http or https, and without a slash at its end. */
export function parseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') throw new InvalidUrlError(text)
  return text.replace(/\/+$/, '')
}

export class InvalidUrlError extends BaseError {
  override readonly name = 'InvalidUrlError'
  constructor(text: string) {
    super(`Not a URL: ${JSON.stringify(text.slice(0, 80))}.`, {
      kind: 'input',
      metaMessages: ['Write it in full: http://127.0.0.1:4270, https://node.example.'],
    })
  }
}
