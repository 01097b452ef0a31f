import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BrowserContext, chromium } from 'playwright-core'
import { findMissing } from './findMissing.js'

const executablePath = '/usr/bin/chromium'
export const chromiumMissing = findMissing({ [executablePath]: 'Debian’s chromium' })

/** A browser without a window, with a profile of its own that outlives it. */
export async function startChromium() {
  const profile = mkdtempSync(join(tmpdir(), 'machinefi-chromium-'))
  const launch = () =>
    chromium.launchPersistentContext(profile, {
      // A browser that root runs has no sandbox; it loads nothing but pages of these tests.
      chromiumSandbox: process.getuid?.() !== 0,
      executablePath,
    })
  let browser: BrowserContext = await launch()
  return {
    newPage: () => browser.newPage(),
    /** Ends the browser and starts it anew, with the same profile. */
    async restart() {
      await browser.close()
      browser = await launch()
    },
    async close() {
      await browser.close()
      rmSync(profile, { force: true, recursive: true })
    },
  }
}

/** An empty page on localhost, which is a secure context, and a script beside it. */
export async function servePage(script: string) {
  const server = createServer((request, response) => {
    const isScript = request.url === '/main.js'
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html')
    response.end(isScript ? script : '<!doctype html><script type="module" src="main.js"></script>')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://localhost:${port}/`,
    close: () => new Promise((resolve) => server.close(resolve)),
  }
}
