import { request as send } from 'node:http'
import { syncBuiltinESMExports } from 'node:module'
import os from 'node:os'
import { signRequest } from '@machinefi/contracts'
import { formatDid, publicKeyToAddress, toHex } from '@machinefi/core'
import { decodeBatch } from '@machinefi/telemetry'
import { createClient, custom } from 'viem'
import { generatePrivateKey, type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts'
import { describe, expect, test, vi } from 'vitest'
import { signSteps } from '../../test/createFakeChain.js'
import {
  createTestNode,
  dayMs,
  hourMs,
  minuteMs,
  type TestNode,
} from '../../test/createTestNode.js'
import { fetchChecked } from '../../test/fetchChecked.js'
import { problemBase } from '../problems.js'
import { createAuthorities } from './createAuthorities.js'
import { createNonces } from './createNonces.js'

const transport = custom({ request: async () => null })
const createAccount = () => privateKeyToAccount(generatePrivateKey())
const nameOf = (account: PrivateKeyAccount) => account.address.toLowerCase()
const [owner, other, auditor, stranger] = Array.from({ length: 4 }, createAccount) as [
  PrivateKeyAccount,
  PrivateKeyAccount,
  PrivateKeyAccount,
  PrivateKeyAccount,
]

const didOf = (t: TestNode, device = 0) => {
  const address = publicKeyToAddress(t.signers[device]!.publicKey)
  return { address: toHex(address), did: formatDid(address) }
}

/** A private network with two devices of two owners and an auditor, three batches, one epoch posted. */
async function createPrivateNode(options: createTestNode.Options = {}) {
  const t = await createTestNode({ devices: 2, isPrivate: true, ...options })
  const { time } = t.chain
  const batches = [
    await t.sign({ seq: 0, start: time, steps: [50, 60] }),
    await t.sign({ device: 1, seq: 0, start: time, steps: [70] }),
    await t.sign({ seq: 1, start: time + dayMs, steps: [80] }),
  ]
  await t.ingest(...batches.slice(0, 2))
  t.moveTo(time + dayMs + 2 * minuteMs)
  await t.node.settle()
  await t.ingest(batches[2]!)
  t.chain.readers.set(`${nameOf(owner)}/${didOf(t).address}`, 0)
  t.chain.readers.set(`${nameOf(other)}/${didOf(t, 1).address}`, 0)
  t.chain.readers.set(nameOf(auditor), 0)
  return t
}

async function urlOf(t: TestNode, path: string) {
  const base = t.node.url ?? (await t.node.listen({ port: 0 }))
  return base + path.replace('{network}', `/networks/${t.chain.network.id}`)
}

async function sign(t: TestNode, account: PrivateKeyAccount, url: string, now = t.now) {
  const client = createClient({ account, transport })
  return signRequest(client, { network: t.chain.network, now, url })
}

/** The status, or the code of the problem. */
async function toOutcome(response: Response) {
  if (response.ok) return response.status
  const { detail, type } = (await response.json()) as { detail?: string; type: string }
  const code = type.slice(problemBase.length)
  return detail === undefined ? code : `${code}: ${detail}`
}

async function get(t: TestNode, account: PrivateKeyAccount | undefined, path: string) {
  const url = await urlOf(t, path)
  return fetchChecked(url, account && { headers: await sign(t, account, url) })
}
const outcome = async (...what: Parameters<typeof get>) => toOutcome(await get(...what))

/** With a `Host` of its own, which `fetch` does not let one choose. */
function getAt(url: string, headers: Record<string, string>): Promise<[number, string]> {
  return new Promise((resolve, reject) => {
    const request = send(url, { agent: false, headers }, (response) => {
      const parts: Buffer[] = []
      response.on('data', (part) => parts.push(part))
      response.on('end', () => resolve([response.statusCode!, Buffer.concat(parts).toString()]))
    })
    request.on('error', reject).end()
  })
}

describe('readers', () => {
  /** Who gets what, of the first device: owner, auditor, other owner, stranger, nobody. */
  const everyone = [200, 200, 200, 200, 200]
  const readers = [200, 200, 'reader', 'reader', 'unsigned']
  const auditors = ['reader', 200, 'reader', 'reader', 'unsigned']
  const expected: Record<string, unknown[]> = {
    '/networks': everyone,
    '{network}': everyone,
    '{network}/devices/{device}/records': readers,
    '{network}/devices/{device}/batches': readers,
    '{network}/devices/{device}/claims': readers,
    '{network}/devices/{device}/evidence': readers,
    '{network}/devices/{device}': [200, 200, 'reader', 'reader', 200],
    '{network}/log/checkpoint': everyone,
    '{network}/log/checkpoints': everyone,
    '{network}/log/entries': everyone,
    '{network}/log/batches/0': readers,
    '{network}/log/batches': auditors,
    '{network}/log/inclusion?index=0': everyone,
    '{network}/log/consistency?from=1': everyone,
    '{network}/epochs': everyone,
    '{network}/epochs/20000': everyone,
    '{network}/epochs/20000/ledger': auditors,
    '{network}/epochs/20000/bundle': auditors,
    '{network}/epochs/20000/claims/{device}': readers,
    '{network}/epochs/20000/claims/{device}/bundle': readers,
    '/health': everyone,
    '/metrics': everyone,
    '/openapi.json': everyone,
  }

  test('default', async () => {
    await using t = await createPrivateNode()
    const said: typeof expected = {}
    for (const path of Object.keys(expected)) {
      said[path] = []
      for (const account of [owner, auditor, other, stranger, undefined]) {
        const answer = await outcome(t, account, path.replace('{device}', didOf(t).did))
        said[path].push(typeof answer === 'string' ? answer.replace(/:.*/, '') : answer)
      }
    }
    expect(said).toEqual(expected)
  })

  test('default: every operation of the API is in the list above', async () => {
    await using t = await createPrivateNode()
    const { paths } = (await (await get(t, undefined, '/openapi.json')).json()) as {
      paths: Record<string, { get?: { security?: unknown } }>
    }
    const read = Object.entries(paths).filter(([, { get }]) => get)
    expect(read).toHaveLength(Object.keys(expected).length)
    expect(read.filter(([, { get }]) => get!.security)).toHaveLength(10)
  })

  test('behavior: a device learns its next seq, and nobody more than that', async () => {
    await using t = await createPrivateNode()
    const { did } = didOf(t)
    const said = (await (await get(t, undefined, `{network}/devices/${did}`)).json()) as object
    expect(Object.keys(said).sort()).toEqual(
      [
        'algorithm',
        'device',
        'did',
        'finalBefore',
        'member',
        'network',
        'nextSeq',
        'publicKey',
      ].sort(),
    )
    expect(said).toMatchObject({ nextSeq: 2 })
    const told = await (await get(t, owner, `{network}/devices/${did}`)).json()
    expect(told).toMatchObject({ batches: 2, gaps: [], nextSeq: 2 })
  })

  test('behavior: a new owner reads nothing of before', async () => {
    await using t = await createPrivateNode()
    const { address, did } = didOf(t)
    const windowStart = 20_001 * dayMs
    // Two batches with one seq, one from before.
    await t.ingest(await t.sign({ seq: 1, start: 20_000 * dayMs - hourMs, steps: [1] }))
    t.chain.readers.set(`${nameOf(owner)}/${address}`, (20_000 * dayMs + minuteMs) / 1000)
    const read = async (path: string) =>
      (await (await get(t, owner, `{network}${path}`)).json()) as Record<string, unknown[]>
    const { records } = await read(`/devices/${did}/records`)
    expect(records!.map((record) => (record as { steps: number }).steps)).toEqual([60, 80])
    const { batches } = await read(`/devices/${did}/batches?from=0`)
    expect(batches).toMatchObject([{ seq: 1, start: windowStart }])
    expect((await read(`/devices/${did}/claims?from=0`)).claims).toEqual([])
    expect((await read(`/devices/${did}/evidence`)).evidence).toEqual([])
    for (const path of [
      '/epochs/20000/claims/{device}',
      '/epochs/20000/claims/{device}/bundle',
      '/log/batches/0',
    ])
      expect(await outcome(t, owner, `{network}${path.replace('{device}', did)}`)).toMatch(
        /^reader: The (window|batch) began before/,
      )
    expect(await outcome(t, owner, '{network}/log/batches/2')).toBe(200)
    // An auditor reads all.
    expect(await outcome(t, auditor, `{network}/epochs/20000/claims/${did}`)).toBe(200)
  })

  test('behavior: what the chain takes back ends within seconds', async () => {
    await using t = await createPrivateNode({ limits: { accessMs: 50 } })
    const path = `{network}/devices/${didOf(t).did}/records`
    expect(await outcome(t, owner, path)).toBe(200)
    expect(await outcome(t, auditor, path)).toBe(200)
    t.chain.readers.clear()
    for (const account of [owner, auditor])
      await expect
        .poll(() => outcome(t, account, path), { interval: 20 })
        .toBe(`reader: Asked by ${nameOf(account)}.`)
  })

  test('behavior: the chain is asked once in a while, and not about junk', async () => {
    await using t = await createPrivateNode()
    const path = `{network}/devices/${didOf(t).did}/records`
    for (let i = 0; i < 5; i++) expect(await outcome(t, owner, path)).toBe(200)
    expect(t.chain.asked.filter((what) => what === 'access')).toHaveLength(1)
    // Somebody else signs as a stranger: no contract is asked for its word.
    const url = await urlOf(t, path)
    const headers = await sign(t, other, url)
    headers['signature-input'] = headers['signature-input'].replace(nameOf(other), nameOf(stranger))
    expect(await toOutcome(await fetch(url, { headers }))).toMatch(
      /^request-signature: It is not of/,
    )
    expect(t.chain.asked).not.toContain('contract')
  })

  test('behavior: an account that is a contract', async () => {
    await using t = await createPrivateNode()
    const wallet = `0x${'c0'.repeat(20)}`
    t.chain.readers.set(`${wallet}/${didOf(t).address}`, 0)
    const url = await urlOf(t, `{network}/devices/${didOf(t).did}/records`)
    const headers = await sign(t, stranger, url)
    headers['signature-input'] = headers['signature-input'].replace(nameOf(stranger), wallet)
    headers.signature = `eth=:${Buffer.from('abcd', 'hex').toString('base64')}:`
    expect(await toOutcome(await fetch(url, { headers }))).toMatch(/^request-signature/)
    t.chain.contracts.add(`${wallet}/0xabcd`)
    expect(await toOutcome(await fetch(url, { headers }))).toBe(200)
    expect(await toOutcome(await fetch(url, { headers }))).toBe('repeated')
  })

  test('error: the chain does not answer', async () => {
    await using t = await createPrivateNode()
    t.chain.failing = new Error('https://key@rpc.example is away')
    const path = `{network}/devices/${didOf(t).did}/records`
    expect(await outcome(t, owner, path)).toBe(
      'unavailable: The chain cannot be asked who may read.',
    )
    t.chain.failing = undefined
    expect(await outcome(t, owner, path)).toBe(200)
  })
})

describe('attacks', () => {
  const path = '{network}/devices/{device}/records'
  /** A request of the owner as it was sent. */
  async function capture(t: TestNode, now?: number) {
    const url = await urlOf(t, path.replace('{device}', didOf(t).did))
    return { headers: await sign(t, owner, url, now), url }
  }

  test('error: a request made twice, also at once, also after a restart', async () => {
    await using t = await createPrivateNode()
    const { headers, url } = await capture(t)
    const both = await Promise.all([fetch(url, { headers }), fetch(url, { headers })])
    expect((await Promise.all(both.map(toOutcome))).sort()).toEqual([200, 'repeated'])
    expect(both.map(({ headers }) => headers.get('cache-control'))).toEqual([
      'no-store',
      'no-store',
    ])

    const { port } = new URL(url)
    const again = async () => {
      await t.reopen()
      await t.node.listen({ port: Number(port) })
      return getAt(url, headers)
    }
    // A clock that was ahead as far as it may be has left one that lives on.
    const ahead = await capture(t, t.now + 5000)
    expect(await toOutcome(await fetch(url, ahead))).toBe(200)
    t.now += 500
    const [status, text] = await again()
    expect([status, text]).toEqual([503, expect.stringContaining('just started: sign it again')])
    t.now += 6000
    const before = 'request-signature: It was created before the node started.'
    expect(await toOutcome(await fetch(url, { headers }))).toBe(before)
    expect(await toOutcome(await fetch(url, ahead))).toBe(before)
    expect(await toOutcome(await fetch(url, await capture(t)))).toBe(200)
  })

  test('error: altered on its way', async () => {
    await using t = await createPrivateNode()
    const { headers, url } = await capture(t)
    const notSigned = /^request-signature: (It is not of|@query is not covered)/
    for (const altered of [
      `${url}?from=1`,
      url.replace('/records', '/claims'),
      url.replace(didOf(t).did, didOf(t).address),
    ])
      expect(await toOutcome(await fetch(altered, { headers })), altered).toMatch(notSigned)
    expect((await fetch(url, { headers, method: 'HEAD' })).status).toBe(401)
    // None of them has used the nonce up.
    expect(await toOutcome(await fetch(url, { headers }))).toBe(200)
  })

  test('error: of another network of the same node', async () => {
    await using t = await createPrivateNode()
    const { headers, url } = await capture(t)
    const elsewhere = url.replace(t.chain.network.id, `0x${'12'.repeat(32)}`)
    expect(await toOutcome(await fetch(elsewhere, { headers }))).toMatch(/^unknown-network/)
    const chain = { ...t.chain.network, chainId: 1 }
    const client = createClient({ account: owner, transport })
    const signed = await signRequest(client, { network: chain, now: t.now, url })
    expect(await toOutcome(await fetch(url, { headers: signed }))).toBe(
      'request-signature: keyid is of chain 1, not of 31337.',
    )
  })

  test('error: passed on by a node that was asked in good faith', async () => {
    await using t = await createPrivateNode()
    const { url } = await capture(t)
    const asked = url.replace(/127\.0\.0\.1:\d+/, 'evil.example')
    const headers = await sign(t, owner, asked)
    const [status, text] = await getAt(url, { ...headers, host: 'evil.example' })
    expect(status).toBe(421)
    expect(text).toMatch(/\\"evil.example\\" is none of its names.*public URLs/)
    // Under a name of the node it is not what was signed.
    expect((await getAt(url, headers))[0]).toBe(401)
    // Its own names, from this machine.
    const { port } = new URL(url)
    const local = await sign(t, owner, url.replace('127.0.0.1', 'localhost'))
    expect((await getAt(url, { ...local, host: `LOCALHOST:${port}` }))[0]).toBe(200)
  })

  test('options: publicUrls', async () => {
    await using t = await createPrivateNode()
    await t.reopen({ publicUrls: ['https://node.example'] })
    t.now += 6000
    const { headers, url } = await capture(t)
    expect(await toOutcome(await fetch(url, { headers }))).toMatch(
      /^authority: .* is none of its names\. This node answers to node\.example\.$/,
    )
    const asked = url.replace(/http:\/\/127\.0\.0\.1:\d+/, 'https://node.example')
    const signed = await sign(t, owner, asked)
    expect((await getAt(url, { ...signed, host: 'node.example' }))[0]).toBe(200)
    await expect(t.open({ publicUrls: ['node.example'] })).rejects.toThrow()
  })

  test('error: expired, or of the future', async () => {
    await using t = await createPrivateNode()
    const late = await capture(t, t.now - 60_000)
    expect(await toOutcome(await fetch(late.url, late))).toMatch(
      /^request-signature: It has expired/,
    )
    const early = await capture(t, t.now + 7000)
    expect(await toOutcome(await fetch(early.url, early))).toMatch(
      /^request-signature: It was created 7 s in the future, at most 5 s are allowed: this clock says/,
    )
  })

  test('error: expired while the chain was asked', async () => {
    await using t = await createPrivateNode()
    const { access } = t.chain
    t.chain.access = (...about) => {
      t.now += 10 * minuteMs
      return access(...about)
    }
    const { headers, url } = await capture(t)
    expect(await toOutcome(await fetch(url, { headers }))).toBe(
      'request-signature: It has expired while the chain was asked.',
    )
  })

  test('error: a flood of nonces', async () => {
    await using t = await createPrivateNode({ limits: { maxNonces: 5, maxNoncesOfAccount: 3 } })
    const of = (account: PrivateKeyAccount, device: number) =>
      outcome(t, account, path.replace('{device}', didOf(t, device).did))
    for (let i = 0; i < 3; i++) expect(await of(owner, 0)).toBe(200)
    const response = await get(t, owner, path.replace('{device}', didOf(t).did))
    expect([response.status, response.headers.get('retry-after')]).toEqual([429, '60'])
    // Strangers have none.
    for (let i = 0; i < 5; i++) expect(await of(stranger, 0)).toMatch(/^reader/)
    // Others have theirs, as long as there is room for all.
    expect(await of(other, 1)).toBe(200)
    expect(await of(auditor, 1)).toBe(200)
    expect(await of(auditor, 1)).toBe('nonces')
    t.now += 61_000
    expect(await of(owner, 0)).toBe(200)
  })

  test('error: a flood of accounts that the chain has to be asked about', async () => {
    await using t = await createPrivateNode()
    const did = didOf(t).did
    expect(await outcome(t, owner, path.replace('{device}', did))).toBe(200)
    let answer = (_: null) => {}
    const silence = new Promise<null>((resolve) => (answer = resolve))
    t.chain.access = () => silence
    const asked = Array.from({ length: 70 }, async () => {
      const said = await outcome(t, createAccount(), path.replace('{device}', did))
      return `${said}`.replace(/:.*/, '')
    })
    await expect.poll(() => t.chain.asked.filter((what) => what === 'key').length).toBe(71)
    // Who is known is answered.
    expect(await outcome(t, owner, path.replace('{device}', did))).toBe(200)
    answer(null)
    const said = await Promise.all(asked)
    expect(said.filter((code) => code === 'overloaded')).toHaveLength(6)
    expect(said.filter((code) => code === 'reader')).toHaveLength(64)
  })

  test('behavior: how to ask again is said', async () => {
    await using t = await createPrivateNode()
    const response = await get(t, undefined, path.replace('{device}', didOf(t).did))
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toBe('ERC-8128')
    expect(response.headers.get('accept-signature')).toContain('"@authority"')
  })

  test('behavior: nothing that everyone may see tells who sends', async () => {
    await using t = await createPrivateNode()
    await get(t, owner, path.replace('{device}', didOf(t).did))
    // A batch that is refused, by a member.
    const { bytes } = await signSteps({ network: t.id, seq: 9, signer: t.signers[0]!, start: 0 })
    await t.ingest(bytes)
    const names = [0, 1].map((device) => didOf(t, device).address.slice(2))
    for (const open of ['/health', '/metrics', '/networks', '{network}', '{network}/epochs']) {
      const text = await (await get(t, undefined, open)).text()
      for (const name of [...names, nameOf(owner).slice(2)]) expect(text).not.toContain(name)
    }
    for (const error of t.errors)
      for (const name of names) expect(String(error)).not.toContain(name)
  })
})

test('behavior: a public network asks nobody who it is', async () => {
  await using t = await createPrivateNode({ isPrivate: false })
  const path = `{network}/devices/${didOf(t).did}/records`
  expect(await outcome(t, undefined, path)).toBe(200)
  expect(await outcome(t, stranger, path)).toBe(200)
  expect(t.chain.asked).toEqual([])
  const batch = await (await get(t, undefined, '{network}/log/batches/0')).arrayBuffer()
  expect(decodeBatch(new Uint8Array(batch)).header.seq).toBe(0)
})

describe('createNonces', () => {
  test('behavior: room comes back as they expire', () => {
    let now = 0
    const nonces = createNonces({ clock: () => now, maxNonces: 100, maxNoncesOfAccount: 10 })
    const use = (account: number, nonce: number) =>
      nonces.use({ account: `${account}`, expiresAt: now + 1000, nonce: `${nonce}` })
    for (let round = 0; round < 50; round++) {
      for (let account = 0; account < 10; account++)
        for (let nonce = 0; nonce < 10; nonce++) expect(use(account, nonce)).toBe('new')
      expect(use(3, 3)).toBe('used')
      expect(use(3, 11)).toBe('full')
      expect(use(11, 0)).toBe('full')
      expect(nonces.count).toBe(100)
      now += 1001
      // The first that finds no room makes some.
      expect(use(12, 0)).toBe('new')
      expect(nonces.count).toBe(1)
      now += 1001
    }
  })
})

describe('createAuthorities', () => {
  test('default', () => {
    const authorities = createAuthorities()
    authorities.listenAt({ host: '0.0.0.0', url: 'http://127.0.0.1:4270' })
    const find = (host: string, isLocal = false) => authorities.find(host, { isLocal })
    expect(find('localhost:4270')).toBeUndefined()
    expect(find('localhost:4270', true)).toBe('localhost:4270')
    expect(find('[::1]:4270', true)).toBe('[::1]:4270')
    expect(find('localhost', true)).toBeUndefined()
    for (const odd of ['', 'a b', 'x@localhost:4270', 'localhost:4270/', ':', 'localhost:99999'])
      expect(find(odd, true)).toBeUndefined()
  })

  test('behavior: an address that the machine gets later', () => {
    const authorities = createAuthorities()
    authorities.listenAt({ host: '0.0.0.0', url: 'http://127.0.0.1:4270' })
    const address = '203.0.113.7'
    const find = () => authorities.find(`${address}:4270`, { isLocal: false })
    expect(find()).toBeUndefined()
    const before = os.networkInterfaces()
    const spy = vi.spyOn(os, 'networkInterfaces').mockImplementation(() => ({
      ...before,
      wlan9: [{ ...Object.values(before)[0]![0]!, address, internal: false }],
    }))
    syncBuiltinESMExports()
    try {
      expect(find()).toBe(`${address}:4270`)
    } finally {
      spy.mockRestore()
      syncBuiltinESMExports()
    }
  })

  test('behavior: the port of the scheme is not said', () => {
    const authorities = createAuthorities(['https://Node.Example:443/', 'http://10.0.0.1:80'])
    authorities.listenAt({ host: '10.0.0.1', url: 'https://10.0.0.1' })
    for (const host of ['node.example', 'NODE.example:443'])
      expect(authorities.find(host, { isLocal: false })).toBe('node.example')
    expect(authorities.find('localhost', { isLocal: true })).toBeUndefined()
  })
})
