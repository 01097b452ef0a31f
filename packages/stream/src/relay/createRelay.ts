import {
  ContractError,
  type Endorsement,
  type Network,
  type Registration,
  registrationMessage,
  toDeviceAddress,
  type WriteResult,
} from '@machinefi/contracts'
import { concatBytes, formatDid, fromHex, type Hex, toHex, verifySignature } from '@machinefi/core'
import { ProblemError } from '../http/openServer.js'
import type { Database } from '../store/openDatabase.js'

/**
 * Sends registrations that devices signed, and pays for them, so that neither a device nor its owner
 * needs gas. Whoever wants the node's money must not get more than it set aside: only devices that
 * join the network they are sent for, only what the chain would take, each once, and so many a UTC day,
 * a restart included.
 */
export function createRelay(options: createRelay.Options): Relay {
  const { clock, database, onError, perDay, send } = options
  database.exec(
    'CREATE TABLE IF NOT EXISTS relays (day INTEGER PRIMARY KEY, sent INTEGER NOT NULL) STRICT',
  )
  const add = database.prepare(
    `INSERT INTO relays VALUES (?, ?) ON CONFLICT (day) DO UPDATE SET sent = sent + excluded.sent`,
  )
  const sentOn = database.prepare('SELECT sent FROM relays WHERE day = ?').raw()
  const forget = database.prepare('DELETE FROM relays WHERE day < ?')
  /** By the bytes the device signed: who asks twice waits for the same transaction. */
  const underWay = new Map<string, Promise<Relayed>>()
  /** What came of the latest, and when: who asks again at once costs nothing. */
  const done = new Map<string, { at: number; relayed: Relayed }>()
  const stats = { refused: 0, sent: 0 }

  async function relay(network: Network, asked: Asked): Promise<Relayed> {
    const { registration } = asked
    const now = clock()
    check(network, registration, now)
    const message = fromHex(
      registrationMessage({
        ...registration,
        chainId: network.chainId,
        registry: network.registry,
      }),
    )
    // By another run, or another proof, it is another question: nobody's is spoiled by a stranger's.
    const run = asked.endorsement?.run
    const key = toHex(message) + JSON.stringify([run?.root, run?.prove([])])
    const known = underWay.get(key)
    if (known) return known
    const publicKey = concatBytes(fromHex(registration.x), fromHex(registration.y))
    const signature = concatBytes(fromHex(registration.r), fromHex(registration.s))
    const { algorithm } = registration
    if (!(await verifySignature({ algorithm, message, publicKey, signature })))
      throw new ProblemError('registration', 'The device did not sign this.')
    const also = underWay.get(key)
    if (also) return also
    const last = done.get(key)
    if (last && Math.abs(now - last.at) < doneMs) return last.relayed
    if (underWay.size >= mostUnderWay) throw new ProblemError('overloaded', undefined, 5)
    const sending = pay(network, asked, Math.floor(now / dayMs)).finally(() => underWay.delete(key))
    underWay.set(key, sending)
    const relayed = await sending
    done.delete(key)
    done.set(key, { at: now, relayed })
    if (done.size > mostDone) done.delete(done.keys().next().value!)
    return relayed
  }

  async function pay(network: Network, asked: Asked, day: number): Promise<Relayed> {
    const [row] = sentOn.all([day]) as [number][]
    if (row && row[0] >= perDay) {
      const next = ((day + 1) * dayMs - clock()) / 1000
      throw new ProblemError('relay-exhausted', `${perDay} a day.`, Math.max(1, Math.ceil(next)))
    }
    // Counted before it is sent: a crash in between costs a registration, and not the limit.
    add.run([day, 1])
    forget.run([day])
    let isSent = false
    try {
      const [result] = await send(network, asked, () => {
        isSent = true
        stats.sent++
      })
      return {
        did: formatDid(fromHex(toDeviceAddress(asked.registration))),
        transaction: result?.hash,
        gasUsed: result?.receipt.gasUsed ?? 0n,
      }
    } catch (error) {
      if (error instanceof ContractError && error.revert)
        throw new ProblemError('registration', error.shortMessage)
      onError(error)
      throw new ProblemError('unavailable', 'The registration could not be sent.', 10)
    } finally {
      if (!isSent) add.run([day, -1])
    }
  }

  return {
    stats,
    async relay(network, body) {
      try {
        return await relay(network, parseBody(body))
      } catch (error) {
        stats.refused++
        throw error
      }
    },
  }
}

export declare namespace createRelay {
  type Options = {
    clock: () => number
    database: Database.Database
    onError: (error: unknown) => void
    /** Most registrations sent in a UTC day. */
    perDay: number
    /** Empty where nothing was left to do: somebody else had sent it. */
    send: (network: Network, asked: Asked, onHash: () => void) => Promise<readonly WriteResult[]>
  }
}

/** Pays for the registrations of others. */
export type Relay = {
  /** Since the start: transactions sent, and requests that were refused. */
  readonly stats: { refused: number; sent: number }
  /**
   * Resolves once the registration is in a block.
   *
   * @param body JSON of a `Registration`, with the proof of an endorsement if it names a model.
   * @throws {ProblemError} e.g. `registration`, `relay-exhausted`, `unavailable`.
   */
  relay(network: Network, body: Uint8Array): Promise<Relayed>
}

/** What a device signed, and who vouches for it. */
export type Asked = { registration: Registration; endorsement: Endorsement | undefined }

export type Relayed = {
  did: string
  /** Undefined where somebody else had sent it before. */
  transaction: Hex | undefined
  gasUsed: bigint
}

const dayMs = 86_400_000

/** Transactions that are in no block yet. */
const mostUnderWay = 16

/** Registrations whose end is remembered, and how long: a block may still be taken back. */
const mostDone = 1000
const doneMs = 60_000

/** So that what is sent is still in time when it is mined. */
const leastLifeMs = 60_000

function check(network: Network, registration: Registration, now: number) {
  const { deadline, membership, owner } = registration
  if (membership.toLowerCase() !== network.membership.toLowerCase())
    throw new ProblemError('registration', 'The device does not join this network by it.')
  if (BigInt(owner) === 0n) throw new ProblemError('registration', 'It names no owner.')
  if (deadline * 1000n < BigInt(now + leastLifeMs))
    throw new ProblemError('registration', 'Its deadline is over in a minute.')
}

/** @throws {ProblemError} */
function parseBody(body: Uint8Array): Asked {
  let json: Record<string, unknown>
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch {
    throw new ProblemError('body', 'The body is not JSON.')
  }
  if (typeof json !== 'object' || json === null)
    throw new ProblemError('body', 'The body is no JSON object.')
  const hex = (name: string, bytes: number): Hex => {
    const value = json[name]
    if (typeof value !== 'string' || !new RegExp(`^0x[0-9a-fA-F]{${2 * bytes}}$`).test(value))
      throw new ProblemError('body', `${name} is ${bytes} bytes as hex, with 0x before.`)
    return value as Hex
  }
  const { algorithm } = json
  if (algorithm !== 'ES256' && algorithm !== 'ES256K')
    throw new ProblemError('body', 'algorithm is ES256 or ES256K.')
  const deadline = String(json.deadline)
  if (!/^[0-9]{1,15}$/.test(deadline)) throw new ProblemError('body', 'deadline is Unix seconds.')
  const registration: Registration = {
    algorithm,
    deadline: BigInt(deadline),
    membership: hex('membership', 20),
    model: hex('model', 32),
    owner: hex('owner', 20),
    ...{ r: hex('r', 32), s: hex('s', 32), x: hex('x', 32), y: hex('y', 32) },
  }
  return { endorsement: parseEndorsement(json.endorsement, registration), registration }
}

/** A proof as the contracts take it, for one device; whether it holds is theirs to say. */
function parseEndorsement(json: unknown, registration: Registration): Endorsement | undefined {
  if (json === undefined) return undefined
  const { flags, proof, root } = (json ?? {}) as Record<string, unknown>
  const isHash = (value: unknown): value is Hex =>
    typeof value === 'string' && /^0x[0-9a-fA-F]{64}$/.test(value)
  const isListOf = <item>(value: unknown, is: (value: unknown) => value is item): value is item[] =>
    Array.isArray(value) && value.length <= mostProofNodes && value.every(is)
  const isFlag = (value: unknown): value is boolean => typeof value === 'boolean'
  if (!isHash(root) || !isListOf(proof, isHash) || !isListOf(flags, isFlag))
    throw new ProblemError('body', 'endorsement is { root, proof, flags }.')
  const devices = [toDeviceAddress(registration)]
  const run = { devices, prove: () => ({ devices, flags, proof }), root }
  return { model: registration.model, run }
}

/** Of a run of 2^32 devices. */
const mostProofNodes = 32
