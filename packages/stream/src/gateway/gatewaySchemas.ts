import { type JsonSchema, listOf, natural, objectOf, text } from '../http/JsonSchema.js'

const number: JsonSchema = { type: 'number' }

/** The JSON of the gateway's API, by name. */
export const gatewaySchemas = {
  Senml: {
    ...listOf({
      type: 'object',
      description: 'A record, or base values of those that follow; other members are ignored',
      properties: {
        bver: { type: 'integer', minimum: 1, maximum: 10 },
        bn: text,
        bt: number,
        bu: text,
        bv: number,
        n: { ...text, description: 'Field of the schema, with the same before it in all records' },
        u: { ...text, description: 'Unit of the field' },
        v: number,
        vb: { type: 'boolean', description: '1 or 0' },
        t: { ...number, description: 'Seconds: from 2^28 on since the Unix epoch, below from now' },
        ut: number,
      },
    }),
    minItems: 1,
    description: 'A SenML pack (RFC 8428 §5)',
  },
  SenmlCbor: {
    ...listOf({ type: 'object' }),
    minItems: 1,
    description: 'The same in CBOR, members by the integers of RFC 8428 §6, table 4',
  },
  Taken: objectOf({ counter: natural, readings: natural }),
  Health: objectOf({
    authentic: natural,
    readings: natural,
    refused: natural,
    reasons: {
      type: 'object',
      description: 'Messages refused, by the last part of the problem’s type',
      additionalProperties: natural,
    },
    devices: natural,
    rows: natural,
    batches: natural,
    bytes: natural,
    delivered: natural,
    kept: natural,
  }),
} satisfies Record<string, JsonSchema>
