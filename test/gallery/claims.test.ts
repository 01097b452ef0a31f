import { expect, test } from 'vitest'
import { expectCaught } from './expectCaught.js'

// What an operator can say of one device in one window.

const timeout = 60_000

/** By kind: what catches it, and what the contract has against the operator's answer. */
const cases = [
  ['inflate-value', 'step', 'WrongValue'],
  ['inflate-value:no-steps', 'step', 'WrongValue'],
  ['wrong-fold', 'step', 'WrongLeaf'],
  ['forge-signature', 'step', 'InvalidBatchSignature'],
  ['unlogged-batch', 'step', 'NotInLog'],
  ['foreign-batch', 'step', 'InvalidBatchSignature'],
  ['foreign-batch:window', 'step', 'OutsideWindow'],
  ['foreign-batch:network', 'step', 'InvalidBatchSignature'],
  ['double-count', 'step', 'SeqNotAfter'],
  ['double-count:overlap', 'step', 'WrongLeaf'],
  ['out-of-window', 'step', 'WrongLeaf'],
] as const

test.each(cases)('%s', { timeout }, async (name, caughtBy, refusal) => {
  const { challenges } = await expectCaught(name, caughtBy)
  // The one that convicts was answered as well as it could be, and that was not enough.
  expect(challenges.find(({ status }) => status === 'upheld')?.answer).toBe(refusal)
})
