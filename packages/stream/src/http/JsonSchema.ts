/**
 * A schema of JSON Schema 2020-12, as OpenAPI 3.1 takes it. Only the keywords that are used here, so
 * that a checker of all of them stays short.
 */
export type JsonSchema = {
  readonly $ref?: string
  readonly additionalProperties?: JsonSchema
  readonly const?: string
  readonly description?: string
  readonly enum?: readonly string[]
  readonly items?: JsonSchema
  readonly maximum?: number
  readonly maxItems?: number
  readonly minimum?: number
  readonly minItems?: number
  readonly oneOf?: readonly JsonSchema[]
  readonly pattern?: string
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly type?: JsonType | readonly [JsonType, 'null']
}

export type JsonType = 'array' | 'boolean' | 'integer' | 'null' | 'number' | 'object' | 'string'

/** All members are there but the optional ones; later versions may have more. */
export function objectOf(
  properties: Readonly<Record<string, JsonSchema>>,
  optional: readonly string[] = [],
): JsonSchema {
  const required = Object.keys(properties).filter((name) => !optional.includes(name))
  return { type: 'object', required, properties }
}

export function listOf(items: JsonSchema): JsonSchema {
  return { type: 'array', items }
}

/** Bytes as `0x` and hex; of any length without one. */
export function hexOf(bytes?: number): JsonSchema {
  const times = bytes === undefined ? '*' : `{${bytes}}`
  return { type: 'string', pattern: `^0x([0-9a-fA-F]{2})${times}$` }
}

/** What is under `components/schemas` of the document. */
export function refTo<name extends string>(name: name): JsonSchema {
  return { $ref: `#/components/schemas/${name}` }
}

/** Never negative: a count, an index, a size. */
export const natural: JsonSchema = { type: 'integer', minimum: 0 }
/** Since the Unix epoch. */
export const ms: JsonSchema = { ...natural, description: 'ms' }
export const text: JsonSchema = { type: 'string' }
export const truth: JsonSchema = { type: 'boolean' }
