import { BaseError, formatDid, isPublishedTestKey, publicKeyToAddress } from '@machinefi/core'
import { maxPebbleBytes, type PebbleProfile, verifyPebble } from '@machinefi/telemetry/pebble'
import type { Context } from '../context.js'
import { openInput } from '../options/openInput.js'
import { parsePublicKey } from '../options/parsePublicKey.js'
import { createProgress } from '../output/createProgress.js'
import { formatTable } from '../output/formatTable.js'
import { createRecordsFile, type RecordsFile } from '../packets/createRecordsFile.js'
import { parsePacket } from '../packets/parsePacket.js'
import { readLines } from '../packets/readLines.js'

type Options = {
  json?: boolean
  out?: string
  profile: PebbleProfile
  progress?: boolean
  publicKey: string
}

/** Refused lines that a person is shown. */
const maxShown = 20
/** Characters that are written at once. */
const maxPending = 1 << 16

/** `machinefi verify`: packets of other makers, one a line, in any number; each line is forgotten once it is judged. */
export async function verifyPackets(
  file: string,
  options: Options,
  context: Context,
): Promise<void> {
  const { json, profile } = options
  const publicKey = parsePublicKey(options.publicKey)
  const did = formatDid(publicKeyToAddress(publicKey))
  const testKey = isPublishedTestKey(publicKey)
  const { chunks, size } = await openInput(file, context)
  const progress = createProgress(context, { force: options.progress === true })

  const records =
    options.out === undefined ? undefined : await createRecordsFile(options.out, context)

  let bytes = 0
  async function* counted() {
    for await (const chunk of chunks) {
      context.signal.throwIfAborted()
      bytes += chunk.length
      yield chunk
    }
  }
  let pending = json ? '{"packets":[' : ''
  const write = (text: string) => {
    pending += text
    if (pending.length < maxPending) return
    context.stdout.write(pending)
    pending = ''
  }
  let total = 0
  let valid = 0
  const refused: [line: number, reason: string, message: string][] = []
  // A packet is at most two characters of hex a byte, and 0x.
  const maxBytes = profile === 'pebble-protobuf' ? 2 * maxPebbleBytes + 2 : maxPebbleBytes
  try {
    for await (const line of readLines(counted(), { maxBytes })) {
      const packet = line.bytes.length > maxBytes ? line.bytes : parsePacket(line.bytes, profile)
      const verdict = await verifyPebble({ packet, profile, publicKey })
      if (verdict.ok) await records?.add(verdict.packet)
      if (json) {
        const { number } = line
        const fact = {
          line: number,
          valid: verdict.ok,
          did,
          ...(verdict.ok ? {} : { reason: verdict.reason }),
          ...(testKey ? { testKey } : {}),
        }
        write(`${total === 0 ? '' : ','}\n${JSON.stringify(fact)}`)
      } else if (!verdict.ok && refused.length < maxShown)
        refused.push([line.number, verdict.reason, verdict.message])
      total++
      if (verdict.ok) valid++
      if (total % 256 === 0) {
        const share = size ? `, ${Math.floor((100 * bytes) / size)} %` : ''
        progress.update(`${total} packets, ${total - valid} refused${share}`)
      }
    }
  } finally {
    await records?.close()
  }
  progress.clear()
  const counts = records?.counts
  if (json)
    write(
      `\n],"total":${total},"valid":${valid}${counts ? `,"records":${JSON.stringify(counts)}` : ''}}\n`,
    )
  else write(format({ counts, did, profile, refused, testKey, total, valid }))
  context.stdout.write(pending)
  if (total === 0) throw new NoPacketError()
  if (valid < total) throw new PacketsRefusedError(total - valid)
}

function format(report: {
  counts: RecordsFile['counts'] | undefined
  did: string
  profile: PebbleProfile
  refused: readonly (readonly [line: number, reason: string, message: string])[]
  testKey: boolean
  total: number
  valid: number
}): string {
  const { counts, did, profile, refused, testKey, total, valid } = report
  const left = total - valid - refused.length
  return [
    `device    ${did}`,
    `profile   ${profile}`,
    ...(testKey
      ? ['key       published: anyone can sign with it, so its packets prove nothing']
      : []),
    `packets   ${total}`,
    `valid     ${valid}`,
    ...(counts
      ? [
          `records   ${counts.written}; ${counts.noRecord} packets have none, ${counts.notLater} are not later than the one before`,
        ]
      : []),
    ...(refused.length === 0
      ? []
      : [
          '',
          formatTable(
            ['line', 'refused', ''],
            refused.map(([line, reason, message]) => [`${line}`, reason, message]),
            { right: [0] },
          ),
        ]),
    ...(left > 0 ? [`and ${left} more: --json has them all`] : []),
    '',
  ].join('\n')
}

export class NoPacketError extends BaseError {
  override readonly name = 'NoPacketError'
  constructor() {
    super('There is no packet in it: the input is empty.', { kind: 'input' })
  }
}

export class PacketsRefusedError extends BaseError {
  override readonly name = 'PacketsRefusedError'
  constructor(refused: number) {
    super(`${refused} ${refused === 1 ? 'packet does' : 'packets do'} not verify.`, {
      kind: 'integrity',
      docsPath: 'protocol/legacy.md',
    })
  }
}
