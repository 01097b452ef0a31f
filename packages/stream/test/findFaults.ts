import type { JsonSchema } from '../src/http/JsonSchema.js'

/**
 * What of a value is not as a schema of an OpenAPI document says. Stricter than JSON Schema, so that
 * nothing is left out of the document: members that a schema does not name are faults too, and so are
 * keywords that are not known here.
 */
export function findFaults(value: unknown, schema: JsonSchema, root: object, at = ''): string[] {
  const faults: string[] = []
  const isOneOf = (types: readonly string[]) => types.some((type) => isOf(type, value))
  const check = (isRight: boolean, text: string) => isRight || faults.push(`${at}: ${text}`)
  for (const [keyword, rule] of Object.entries(schema) as [string, never][]) {
    if (keyword === '$ref') {
      const path = (rule as string).slice('#/'.length).split('/')
      const target = path.reduce<unknown>((node, name) => (node as never)?.[name], root)
      check(target !== undefined, `${rule} is not there`)
      if (target) faults.push(...findFaults(value, target, root, at))
    } else if (keyword === 'type') check(isOneOf([rule].flat()), `not ${rule}`)
    else if (keyword === 'const') check(value === rule, `not ${rule}`)
    else if (keyword === 'enum') check((rule as unknown[]).includes(value), `not of ${rule}`)
    else if (keyword === 'oneOf') {
      const fits = (rule as JsonSchema[]).filter((one) => !findFaults(value, one, root).length)
      check(fits.length === 1, `fits ${fits.length} of oneOf`)
    } else if (keyword === 'pattern')
      check(typeof value !== 'string' || new RegExp(rule, 'u').test(value), `not ${rule}`)
    else if (keyword === 'minimum') check(typeof value !== 'number' || value >= rule, `< ${rule}`)
    else if (keyword === 'maximum') check(typeof value !== 'number' || value <= rule, `> ${rule}`)
    else if (keyword === 'minItems')
      check(!Array.isArray(value) || value.length >= rule, `fewer than ${rule}`)
    else if (keyword === 'maxItems')
      check(!Array.isArray(value) || value.length <= rule, `more than ${rule}`)
    else if (keyword === 'items') {
      if (Array.isArray(value))
        value.forEach((item, i) => {
          faults.push(...findFaults(item, rule, root, `${at}/${i}`))
        })
    } else if (keyword === 'required') {
      if (isOf('object', value))
        for (const name of rule as string[])
          check(Object.hasOwn(value as object, name), `no ${name}`)
    } else if (!['additionalProperties', 'description', 'properties'].includes(keyword))
      check(false, `unknown keyword ${keyword}`)
  }
  const { additionalProperties, properties } = schema
  if ((additionalProperties || properties) && isOf('object', value))
    for (const [name, member] of Object.entries(value as object)) {
      const rule = Object.hasOwn(properties ?? {}, name) ? properties![name] : additionalProperties
      check(rule !== undefined, `${name} is not in the schema`)
      if (rule) faults.push(...findFaults(member, rule, root, `${at}/${name}`))
    }
  return faults
}

function isOf(type: string, value: unknown): boolean {
  if (type === 'integer') return Number.isInteger(value)
  if (type === 'array') return Array.isArray(value)
  if (type === 'null') return value === null
  if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value)
  return type === typeof value
}
