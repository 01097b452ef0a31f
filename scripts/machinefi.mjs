import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { bootstrap, root } from './bootstrap.mjs'

// npm start                        the demo
// npm run machinefi -- dev --help  any other command

await bootstrap()

// npm moves to the checkout before it runs a script; paths mean where the person stands.
if (process.cwd() === root && process.env.INIT_CWD) process.chdir(process.env.INIT_CWD)

// In this very process, so that streams, signals and the exit code are the command's own.
const bin = join(root, 'packages/cli/dist/bin.js')
process.argv[1] = bin
await import(pathToFileURL(bin).href)
