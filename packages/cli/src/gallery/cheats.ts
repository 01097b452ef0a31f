import { BaseError } from '@machinefi/core'
import * as lies from './lies.js'

/** One way to cheat. */
export type Cheat = {
  kind: CheatKind
  /** Of several ways to do the same, which. The first has none. */
  variant: string | null
  /** What the operator does, in one line. */
  title: string
  lie: lies.Lie
  /** What it does not hand out: its epoch; all, once it has posted; all of the second day. */
  hides?: 'epoch' | 'posting' | 'day'
  /** Members beside the fleet, who do not walk. */
  crowd?: number
  /** When it answers challenges. @default 'at once' */
  answers?: 'at once' | 'late' | 'never'
}

const gallery = {
  'inflate-value': {
    '': {
      title: 'credits a device with more than its batches add up to',
      lie: lies.inflateValue,
    },
    'no-steps': {
      title: 'credits a device that sent nothing, so that there is no batch to point at',
      lie: lies.inflateNothing,
    },
  },
  'wrong-fold': {
    '': {
      title: 'writes a false state after the second batch, and folds on from there',
      lie: lies.foldWrong,
    },
  },
  'forge-signature': {
    '': {
      title: 'counts a batch that the device never signed',
      lie: lies.forgeSignature,
    },
  },
  'unlogged-batch': {
    '': {
      title: 'counts a signed batch that is not in the log',
      lie: lies.addUnlogged,
    },
  },
  'foreign-batch': {
    '': {
      title: 'counts a batch of another device',
      lie: lies.addOfAnother,
    },
    window: {
      title: 'counts a batch of the day before',
      lie: lies.addOfYesterday,
    },
    network: {
      title: 'counts a batch that the device signed for another network',
      lie: lies.addOfAnotherNetwork,
    },
  },
  'double-count': {
    '': {
      title: 'counts one batch twice',
      lie: lies.countTwice,
    },
    overlap: {
      title: 'counts the same minutes twice, from two batches that a device signed for it',
      lie: lies.countOverlap,
    },
  },
  'out-of-window': {
    '': {
      title: 'counts the minutes before midnight of a batch over midnight',
      lie: lies.countOutside,
    },
  },
  'omit-batch': {
    '': {
      title: 'leaves out a batch that is in the log',
      lie: lies.omitBatch,
    },
    member: {
      title: 'leaves a member out of the ledger, with all it ever earned',
      lie: lies.omitMember,
    },
  },
  'wrong-carry': {
    '': {
      title: 'adds to the sum of all days, where no day shows it',
      lie: lies.carryMore,
    },
    swap: {
      title: 'lets two devices change slots, so that one inherits what the other was paid already',
      lie: lies.swapSlots,
    },
    unpaid: {
      title: 'pays a device that was suspended',
      lie: lies.payUnpaid,
    },
  },
  'inflate-total': {
    '': {
      title: 'posts a larger sum than its ledger adds up to',
      lie: lies.inflateTotal,
    },
    node: {
      title: 'hides the surplus inside, in a node above two slots that do not have it',
      lie: lies.inflateNode,
    },
  },
  'rewrite-log': {
    '': {
      title: 'takes a batch back out of the log that it had shown to everyone',
      lie: lies.rewriteToday,
    },
    posted: {
      title: 'takes a batch out of the log that it had posted the day before',
      lie: lies.rewriteYesterday,
    },
    hidden: {
      title: 'takes a batch back out of the log, and hands out nothing of the new one',
      lie: lies.rewriteToday,
      hides: 'posting',
    },
  },
  'fork-log': {
    '': {
      title: 'signs two logs of one length',
      lie: lies.forkLog,
    },
  },
  'truncate-log': {
    '': {
      title: 'posts a log that ends before a batch it gave a receipt for',
      lie: lies.truncateLog,
    },
  },
  silence: {
    '': {
      title: 'inflates a value, hands out no data, and answers nothing',
      lie: lies.inflateValue,
      hides: 'day',
      answers: 'never',
    },
    ledger: {
      title: 'inflates a value, hands out no ledger, and answers what it can',
      lie: lies.inflateValue,
      hides: 'epoch',
    },
    crowd: {
      title: 'the same, where the slot is one of sixty-four',
      lie: lies.inflateValue,
      hides: 'epoch',
      crowd: 40,
    },
  },
  'late-answer': {
    '': {
      title: 'posts the truth, hands out no data, and answers a second after the deadline',
      lie: lies.tellTruth,
      hides: 'day',
      answers: 'late',
    },
  },
  spam: {
    '': {
      title: 'challengers dispute everything an honest operator posted',
      lie: lies.tellTruth,
    },
  },
} as const satisfies Record<string, Record<string, Omit<Cheat, 'kind' | 'variant'>>>

export type CheatKind = keyof typeof gallery

/** Every cheat of the gallery, variants after the plain one. */
export const cheats: readonly Cheat[] = Object.entries(gallery).flatMap(([kind, variants]) =>
  Object.entries(variants).map(([variant, cheat]) => ({
    ...cheat,
    kind: kind as CheatKind,
    variant: variant || null,
  })),
)

/** `inflate-value`, or `inflate-value:no-steps`. */
export function formatCheat({ kind, variant }: Pick<Cheat, 'kind' | 'variant'>): string {
  return variant === null ? kind : `${kind}:${variant}`
}

/** @throws {UnknownCheatError} */
export function parseCheat(text: string): Cheat {
  const cheat = cheats.find((cheat) => formatCheat(cheat) === text)
  if (!cheat) throw new UnknownCheatError(text)
  return cheat
}

/** Every cheat, a line each. */
export function listCheats(): string[] {
  const width = Math.max(...cheats.map((cheat) => formatCheat(cheat).length))
  return cheats.map((cheat) => `${formatCheat(cheat).padEnd(width)}  ${cheat.title}`)
}

export class UnknownCheatError extends BaseError {
  override readonly name = 'UnknownCheatError'
  constructor(text: string) {
    super(`There is no cheat ${JSON.stringify(text)}.`, {
      docsPath: 'guides/cheaters.md',
      kind: 'input',
      metaMessages: listCheats(),
    })
  }
}
