import { networkInterfaces } from 'node:os'
import { NodeConfigurationError } from '../errors.js'

/**
 * The names that this node answers to in signed requests. Somebody else's node may be asked in good
 * faith, and pass the request on: it is signed for the name that was asked, and must not be taken
 * under that name here.
 *
 * With public URLs those alone. Without, the addresses it listens at; those of the machine itself
 * (`localhost`) only over a connection from the machine, as everyone's name is that. Who listens at
 * all addresses has those that the machine has when it is asked: a lease or a cable brings others.
 *
 * @throws {NodeConfigurationError} a URL that is none of HTTP.
 */
export function createAuthorities(publicUrls: readonly (string | URL)[] = []): Authorities {
  const scheme = (secure: boolean) => (secure ? 'https' : 'http')
  const publicNames = new Set(publicUrls.map(parsePublicUrl))
  const localNames = new Set<string>()
  let listening: { host: string; port: string } | undefined
  let secure = false

  function toName(address: string) {
    const name = address.includes(':') ? `[${address.replace(/%.*/, '')}]` : address
    const { port } = listening!
    return new URL(`${scheme(secure)}://${name}${port === '' ? '' : `:${port}`}`).host
  }

  function isOwn(name: string) {
    if (publicNames.has(name)) return true
    if (publicUrls.length > 0 || !listening) return false
    const { host } = listening
    const isAny = host === '0.0.0.0' || host === '::'
    const addresses = isAny
      ? Object.values(networkInterfaces()).flatMap((some = []) =>
          some.map(({ address }) => address),
        )
      : [host]
    return addresses.some((address) => toName(address) === name)
  }

  return {
    listenAt({ host, url }) {
      const { port, protocol } = new URL(url)
      listening = { host, port }
      secure = protocol === 'https:'
      if (publicUrls.length > 0) return
      for (const name of loopbackNames) localNames.add(toName(name))
      if (isLoopback(host)) localNames.add(toName(host))
    },
    find(host, { isLocal }) {
      const url = `${scheme(secure)}://${host}`
      if (!/^[\w.:[\]-]+$/.test(host) || !URL.canParse(url)) return undefined
      const name = new URL(url).host
      return (localNames.has(name) ? isLocal : isOwn(name)) ? name : undefined
    },
    explain() {
      return publicUrls.length > 0
        ? `This node answers to ${[...publicNames].join(', ')}.`
        : 'This node answers to the addresses it listens at; other names are given to it as its public URLs.'
    },
  }
}

export type Authorities = {
  /** Where it listens, once that is known. */
  listenAt(options: { host: string; url: string }): void
  /** The name as it is signed, if the `Host` of a request is one of this node's. */
  find(host: string, options: { isLocal: boolean }): string | undefined
  /** Which names there are, for people. */
  explain(): string
}

/** Whether an address is the machine's own. */
export function isLoopback(address: string): boolean {
  return /^(::ffff:)?127\.|^::1$/.test(address)
}

function parsePublicUrl(text: string | URL): string {
  const url = URL.canParse(String(text)) ? new URL(text) : undefined
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:')
    throw new NodeConfigurationError('A public URL of the node begins with http or https.')
  return url.host
}

const loopbackNames = ['localhost', '127.0.0.1', '::1']
