import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { bootstrap, root } from './bootstrap.mjs'

await bootstrap()

// npm moves to the checkout before it runs a script; paths mean where the person stands.
if (process.cwd() === root && process.env.INIT_CWD) process.chdir(process.env.INIT_CWD)

// In this very process, so that streams, signals and the exit code are the demo's own.
const bin = join(root, 'packages/cli/dist/bin.js')
process.argv = [process.execPath, bin, 'demo', ...process.argv.slice(2)]
await import(pathToFileURL(bin).href)
