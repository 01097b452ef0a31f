import { createVerifierClient, signRequest as signElsewhere } from '@slicekit/erc8128'
import { createClient, custom, type Hex, hexToBytes } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { recoverMessageAddress, verifyMessage } from 'viem/utils'
import { describe, expect, test } from 'vitest'
import { AccountMissingError, InvalidArgumentError } from '../errors.js'
import { createSignedFetch } from './createSignedFetch.js'
import { parseSignedRequest } from './parseSignedRequest.js'
import { signRequest } from './signRequest.js'

const account = privateKeyToAccount(generatePrivateKey())
const network = { chainId: 4690 }
const transport = custom({ request: async () => null })
const client = createClient({ account, transport })
const url = 'https://node.example/networks/0x12/devices/did:io:0x34/records?from=1&limit=5'
const target = {
  authority: 'node.example',
  method: 'GET',
  path: '/networks/0x12/devices/did:io:0x34/records',
  query: '?from=1&limit=5',
}

/** As a verifier does it. */
async function verify(
  headers: { signature: string; 'signature-input': string },
  changes: Partial<parseSignedRequest.Parameters> = {},
) {
  const parsed = parseSignedRequest({
    chainId: 4690,
    signature: headers.signature,
    signatureInput: headers['signature-input'],
    target,
    ...changes,
  })
  if (!parsed.ok) return parsed.detail
  const { account, message, signature } = parsed.request
  const signer = await recoverMessageAddress({ message, signature }).catch(() => undefined)
  return signer?.toLowerCase() === account ? account : 'another signer'
}

describe('signRequest', () => {
  test('default', async () => {
    const headers = await signRequest(client, { network, url })
    expect(await verify(headers)).toBe(account.address.toLowerCase())
    expect(headers['signature-input']).toMatch(
      /^eth=\("@method" "@authority" "@path" "@query"\);created=\d+;expires=\d+;nonce="[0-9a-f]{32}";keyid="erc8128:4690:0x[0-9a-f]{40}"$/,
    )
    const again = await signRequest(client, { network, url })
    expect(again['signature-input']).not.toBe(headers['signature-input'])
  })

  test('behavior: a URL without a query, with a port', async () => {
    const headers = await signRequest(client, { network, url: 'http://127.0.0.1:4270/health#x' })
    const asked = { authority: '127.0.0.1:4270', method: 'GET', path: '/health', query: '' }
    expect(await verify(headers, { target: asked })).toBe(account.address.toLowerCase())
    expect(await verify(headers, { target: { ...asked, query: '?a=1' } })).toBe(
      '@query is not covered.',
    )
  })

  test('behavior: another implementation of ERC-8128 takes it, once', async () => {
    const seen = new Set<string>()
    const consume = async (key: string) => !seen.has(key) && seen.add(key).has(key)
    const { verifyRequest } = createVerifierClient({ nonceStore: { consume }, verifyMessage })
    for (const asked of [url, 'https://node.example/networks']) {
      const request = new Request(asked, {
        headers: await signRequest(client, { network, url: asked }),
      })
      expect(await verifyRequest({ request })).toMatchObject({
        ok: true,
        address: account.address.toLowerCase(),
        chainId: 4690,
      })
      expect(await verifyRequest({ request })).toMatchObject({ ok: false, reason: 'replay' })
    }
  })

  test('error: no account, no URL, a life too long', async () => {
    const nobody = createClient({ transport })
    await expect(signRequest(nobody, { network, url })).rejects.toThrow(AccountMissingError)
    for (const wrong of ['/networks', 'ftp://node.example/'])
      await expect(signRequest(client, { network, url: wrong })).rejects.toThrow(
        InvalidArgumentError,
      )
    await expect(signRequest(client, { lifeSeconds: 301, network, url })).rejects.toThrow('301')
  })
})

describe('createSignedFetch', () => {
  test('default', async () => {
    const sent: Request[] = []
    const fetch = async (input: string | URL | Request, init?: RequestInit) => {
      sent.push(new Request(input, init))
      return new Response('yes')
    }
    const fetchSigned = createSignedFetch(client, { fetch, network })
    const answer = await fetchSigned(url, { headers: { accept: 'application/json' } })
    expect(await answer.text()).toBe('yes')
    const { headers, redirect } = sent[0]!
    expect(redirect).toBe('error')
    expect(headers.get('accept')).toBe('application/json')
    const signed = {
      signature: headers.get('signature')!,
      'signature-input': headers.get('signature-input')!,
    }
    expect(await verify(signed)).toBe(account.address.toLowerCase())
    await expect(fetchSigned(url, { body: 'x', method: 'POST' })).rejects.toThrow(
      InvalidArgumentError,
    )
  })
})

describe('parseSignedRequest', () => {
  test('default: another implementation of ERC-8128 signs', async () => {
    const signer = {
      address: account.address,
      chainId: 4690,
      signMessage: (raw: Uint8Array) => account.signMessage({ message: { raw } }),
    }
    for (const asked of [url, 'https://node.example/networks']) {
      const { headers } = await signElsewhere(asked, undefined, signer)
      const { pathname, search } = new URL(asked)
      const signed = {
        signature: headers.get('signature')!,
        'signature-input': headers.get('signature-input')!,
      }
      const of = { ...target, path: pathname, query: search }
      expect(await verify(signed, { target: of })).toBe(account.address.toLowerCase())
    }
  })

  test('behavior: beside a signature of somebody else', async () => {
    const headers = await signRequest(client, { network, url })
    const both = {
      signature: `proxy=:AAAA:, ${headers.signature}`,
      'signature-input': `proxy=("@status";req "x");keyid="a, \\"b\\"", ${headers['signature-input']}`,
    }
    expect(await verify(both)).toBe(account.address.toLowerCase())
  })

  test.each([
    ['authority', { authority: 'node.example:8443' }],
    ['method', { method: 'HEAD' }],
    ['network', { path: target.path.replace('0x12', '0x13') }],
    ['query', { query: '?from=0&limit=5' }],
    ['order of the query', { query: '?limit=5&from=1' }],
    ['line in the path', { path: `${target.path}\n"@query": ?from=1` }],
  ])('error: another %s', async (_, change) => {
    const headers = await signRequest(client, { network, url })
    expect(await verify(headers, { target: { ...target, ...change } })).toBe('another signer')
  })

  test('error: too late, too early, too long, of another chain', async () => {
    const now = 1_800_000_000_500
    const headers = await signRequest(client, { network, now, url })
    const at = (ms: number) => verify(headers, { now: now + ms })
    expect(await at(59_400)).toBe(account.address.toLowerCase())
    expect(await at(59_500)).toMatch(/^It has expired 0 s ago: this clock says 2027-/)
    expect(await at(-5500)).toBe(account.address.toLowerCase())
    expect(await at(-5501)).toMatch(/^It was created 6 s in the future, at most 5 s are allowed/)
    const long = {
      ...headers,
      'signature-input': headers['signature-input'].replace(/expires=\d+/, 'expires=1800000301'),
    }
    expect(await verify(long, { now })).toMatch(/within 300 s/)
    expect(await verify(headers, { chainId: 1, now })).toBe('keyid is of chain 4690, not of 1.')
  })

  test('error: malformed, or less than everything', async () => {
    const headers = await signRequest(client, { network, url })
    const input = headers['signature-input']
    const refusals = {
      '': /keyid that begins/,
      'eth=': /malformed/,
      [input.replace('erc8128:', 'eip155:')]: /keyid that begins/,
      [input.replace(' "@authority"', '')]: /@authority is not covered/,
      [input.replace(' "@query"', '')]: /@query is not covered/,
      [input.replace('"@path"', '"@path" "@path"')]: /each once/,
      [input.replace('"@path"', '"@path" "content-digest"')]: /Only @method/,
      [input.replace('"@path"', '"@path";sf')]: /malformed/,
      [input.replace(/;nonce="[^"]*"/, '')]: /nonce is needed/,
      [input.replace(/;nonce="[^"]*"/, ';nonce=""')]: /nonce is needed/,
      [input.replace(/;nonce="[^"]*"/, `;nonce="${'n'.repeat(65)}"`)]: /nonce is needed/,
      [input.replace(/;created=\d+/, '')]: /created and expires/,
      [input.replace(/;created=/, ';created=1;created=')]: /malformed/,
      [input.replace('eth=', 'eth=(),eth=')]: /malformed/,
      [input.replace('eth=', 'other=')]: /no bytes for other/,
      [`${input}x`]: /malformed/,
      [`${input}, `]: /malformed/,
    }
    for (const [wrong, expected] of Object.entries(refusals))
      expect(await verify({ ...headers, 'signature-input': wrong }), wrong).toMatch(expected)
    expect(await verify({ ...headers, signature: 'eth=:!!!!:' })).toMatch(/no bytes/)
  })

  test('error: any character of Signature-Input altered', async () => {
    const headers = await signRequest(client, { network, url })
    const input = headers['signature-input']
    for (let i = 0; i < input.length; i++) {
      const altered = String.fromCharCode(input.charCodeAt(i) ^ 1)
      const wrong = input.slice(0, i) + altered + input.slice(i + 1)
      const verdict = await verify({ ...headers, 'signature-input': wrong })
      expect(verdict, wrong).not.toMatch(/^0x/)
    }
  })

  test('behavior: long junk is read to its end', async () => {
    const headers = await signRequest(client, { network, url })
    for (const junk of ['"', ' ', ',', '\\"', '("@path" ', ';a=1', 'a=b, ', 'a= b'])
      for (const before of ['', 'eth=', 'eth=("@path"', `${headers['signature-input']}, x=`]) {
        const wrong = before + junk.repeat(16_000 / junk.length)
        expect(await verify({ ...headers, 'signature-input': wrong })).not.toBe('another signer')
      }
  })

  test('error: any byte of the signature altered', async () => {
    const headers = await signRequest(client, { network, url })
    const bytes = Buffer.from(headers.signature.slice(5, -1), 'base64')
    for (let i = 0; i < bytes.length; i += 8) {
      const altered = Buffer.from(bytes)
      altered[i]! ^= 1
      const signature = `eth=:${altered.toString('base64')}:`
      expect(await verify({ ...headers, signature })).not.toBe(account.address.toLowerCase())
    }
    expect(hexToBytes(`0x${bytes.toString('hex')}` as Hex)).toHaveLength(65)
  })
})
