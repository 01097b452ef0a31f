/** How well a device's key is kept, says a maker that its network believed; `none` where nobody says anything. */
export type Assurance = (typeof assurances)[number]

/** The least first, as numbered by the contracts. */
export const assurances = ['none', 'gateway', 'software', 'secure-element'] as const
