import { resolve } from 'node:path'
import { readFileStore } from '@machinefi/device/node'
import type { Context } from '../../context.js'
import { formatJson } from '../../output/formatJson.js'

/** `machinefi device outbox`: what waits in the store of a device, which may be at work. */
export async function showOutbox(
  folder: string,
  options: { json?: boolean },
  context: Context,
): Promise<void> {
  const store = await readFileStore(resolve(context.cwd, folder))
  const { final = null, held = null, lastTime = null, nextSeq = null, oldest = null } = store
  if (options.json) {
    const json = { ...store, final, held, lastTime, nextSeq, oldest }
    return void context.stdout.write(`${formatJson(json)}\n`)
  }
  const facts = {
    device: store.device,
    network: store.network,
    waiting: `${count(store.readings, 'reading')}, ${count(store.bytes, 'byte')}: ${count(store.batches, 'batch')}, and ${count(store.rows, 'reading')} not signed yet`,
    oldest: oldest ? `batch ${oldest.seq}, to ${formatTime(oldest.end)}` : '–',
    newest: lastTime === null ? '–' : formatTime(lastTime),
    refused: count(store.refused, 'batch'),
    dropped: `${count(store.dropped, 'batch')}, to make room`,
    kept: `${count(store.kept, 'batch')}, ${count(store.keptBytes, 'byte')}, for another node`,
    until: held
      ? `their windows are final: from ${formatTime(held.first)} to ${formatTime(held.last)} at the earliest`
      : '–',
    final: final
      ? `before ${formatTime(final.before)}, as the node said at ${formatTime(final.at)}`
      : 'the node was not asked yet',
    'next seq': nextSeq ?? 'not known yet',
    disk: count(store.diskBytes, 'byte'),
  }
  for (const [name, value] of Object.entries(facts))
    context.stdout.write(`${name.padEnd(8)}  ${value}\n`)
}

function count(number: number, noun: 'batch' | 'byte' | 'reading'): string {
  const plural = noun === 'batch' ? 'batches' : `${noun}s`
  return `${number.toLocaleString('en-US')} ${number === 1 ? noun : plural}`
}

function formatTime(time: number): string {
  return new Date(time).toISOString()
}
