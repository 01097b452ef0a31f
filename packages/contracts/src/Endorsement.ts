import type { Address, Hex } from 'viem'
import type { Run } from './Run.js'

/** A maker's word for devices of a run: what a call that joins some of them makes its proof of. */
export type Endorsement = {
  /** Id of the model. */
  model: Hex
  /** See `buildRun`. */
  run: Run
}

/** Devices in the order that their proof wants, and what the contracts take beside them. */
export function proveEndorsement({ model, run }: Endorsement, devices: readonly Address[]) {
  const { devices: ordered, flags, proof } = run.prove(devices)
  return { devices: ordered, endorsement: { flags, model, proof, root: run.root } }
}
