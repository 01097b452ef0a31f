import { fileURLToPath } from 'node:url'
import { fromHex, type Hex, type Signer, toHex } from '@machinefi/core'
import { build } from 'esbuild'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { chromiumMissing, servePage, startChromium } from '../../test/startChromium.js'
import { testSigner } from '../../test/testSigner.js'
import { openWebCryptoKey } from '../webcrypto.js'

test('error: no IndexedDB, as in Node', async () => {
  await expect(openWebCryptoKey('walker', { create: true })).rejects.toMatchObject({
    kind: 'input',
    name: 'WebCryptoKeyError',
    reason: 'storage',
  })
})

const title = chromiumMissing === undefined ? 'Chromium' : `Chromium: ${chromiumMissing}`

describe.skipIf(chromiumMissing !== undefined)(title, () => {
  let chromium: Awaited<ReturnType<typeof startChromium>>
  let site: Awaited<ReturnType<typeof servePage>>
  let page: Page
  beforeAll(async () => {
    const { outputFiles } = await build({
      bundle: true,
      conditions: ['@machinefi/source', 'browser'],
      format: 'esm',
      stdin: {
        contents: `
          import { fromHex, toHex } from '@machinefi/core'
          import { openWebCryptoKey } from '../webcrypto.ts'
          const signers = new Map()
          globalThis.open = async (name, options) => {
            try {
              const signer = await openWebCryptoKey(name, options)
              signers.set(name, signer)
              return { algorithm: signer.algorithm, publicKey: toHex(signer.publicKey) }
            } catch ({ name, kind, reason }) {
              return { name, kind, reason }
            }
          }
          globalThis.sign = async (name, message) =>
            toHex(await signers.get(name).sign(fromHex(message)))`,
        resolveDir: fileURLToPath(new URL('.', import.meta.url)),
      },
      write: false,
    })
    site = await servePage(outputFiles[0]!.text)
    chromium = await startChromium()
    page = await load()
  }, 60_000)
  afterAll(async () => {
    await chromium?.close()
    await site?.close()
  })

  async function load(url = site.url): Promise<Page> {
    const page = await chromium.newPage()
    await page.goto(url)
    await page.waitForFunction('globalThis.sign')
    return page
  }

  type Opened = { algorithm: 'ES256'; publicKey: Hex; reason?: string }

  const open = (name: string, options = {}, at = page) =>
    at.evaluate<Opened>(`open(${JSON.stringify(name)}, ${JSON.stringify(options)})`)

  /** A signer whose key is in the page. */
  async function openInPage(name: string): Promise<Signer> {
    const { algorithm, publicKey } = await open(name, { create: true })
    return {
      algorithm,
      publicKey: Uint8Array.from(fromHex(publicKey)),
      sign: async (message) =>
        fromHex(await page.evaluate<Hex>(`sign(${JSON.stringify(name)}, '${toHex(message)}')`)),
    }
  }

  testSigner('WebCrypto in Chromium', () => openInPage('suite'), { signatures: 10 })

  test('default: the key survives a reload, and the browser', async () => {
    const { publicKey } = await open('walker', { create: true })
    await page.reload()
    await page.waitForFunction('globalThis.sign')
    expect((await open('walker')).publicKey).toBe(publicKey)
    await chromium.restart()
    page = await load()
    expect((await open('walker', { create: true })).publicKey).toBe(publicKey)
    expect(await page.evaluate<string>(`sign('walker', '0x01')`)).toMatch(/^0x[0-9a-f]{128}$/)
    expect((await open('other', { create: true })).publicKey).not.toBe(publicKey)
  })

  test('behavior: no script can carry the key away', async () => {
    await open('walker', { create: true })
    const attempts = await page.evaluate<string[]>(`(async () => {
      const database = await new Promise((resolve) => {
        const request = indexedDB.open('machinefi')
        request.onsuccess = () => resolve(request.result)
      })
      const { privateKey } = await new Promise((resolve) => {
        const request = database.transaction('keys').objectStore('keys').get('walker')
        request.onsuccess = () => resolve(request.result)
      })
      database.close()
      const attempts = [String(privateKey.extractable), JSON.stringify(privateKey)]
      for (const format of ['pkcs8', 'jwk', 'raw'])
        attempts.push(await crypto.subtle.exportKey(format, privateKey).then(() => 'OUT', ({ name }) => name))
      return attempts
    })()`)
    expect(attempts).toEqual(['false', '{}', ...Array(3).fill(expect.stringContaining('Error'))])
  })

  test('behavior: tabs that create it at the same time get the same', async () => {
    const tabs = [page, await load(), await load()]
    for (let i = 0; i < 5; i++) {
      const all = await Promise.all(
        [...tabs, ...tabs].map((tab) => open(`race ${i}`, { create: true }, tab)),
      )
      expect(new Set(all.map(({ publicKey }) => publicKey)).size).toBe(1)
    }
    await Promise.all(tabs.slice(1).map((tab) => tab.close()))
  })

  test('error: missing; not a key; not a secure context', async () => {
    const failure = (reason: string) => ({ kind: 'input', name: 'WebCryptoKeyError', reason })
    expect(await open('absent')).toEqual(failure('missing'))
    await page.evaluate(`new Promise((resolve) => {
      const request = indexedDB.open('machinefi')
      request.onsuccess = () => {
        const transaction = request.result.transaction('keys', 'readwrite')
        transaction.objectStore('keys').put('hunter2', 'bad')
        transaction.oncomplete = () => resolve(request.result.close())
      }
    })`)
    expect(await open('bad', { create: true })).toEqual(failure('not-a-key'))
    await page.evaluate(`Object.defineProperty(crypto, 'subtle', { value: undefined })`)
    expect(await open('new', { create: true })).toEqual(failure('unavailable'))
    await page.close()
    page = await load()
  })
})
