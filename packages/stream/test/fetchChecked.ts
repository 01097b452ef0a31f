import type { JsonSchema } from '../src/http/JsonSchema.js'
import { findFaults } from './findFaults.js'

/**
 * Fetches, and holds an answer in JSON against the OpenAPI document of the server: that its operation
 * has this status and media type, and that the body is as their schema says. A body in JSON that was
 * taken is held against its schema too.
 *
 * @throws {Error} with every fault.
 */
export async function fetchChecked(url: string, init: RequestInit = {}): Promise<Response> {
  const response = await fetch(url, init)
  const type = typeOf(response.headers)
  if (!type?.endsWith('json') || init.method === 'HEAD') return response
  const { origin, pathname } = new URL(url)
  const document = (await (await fetch(`${origin}/openapi.json`)).json()) as Document
  const body = await response.clone().json()
  const faults: string[] = []
  const check = (value: unknown, content: Content | undefined, type: string) => {
    const schema = content?.[type]?.schema
    if (!schema) faults.push(`no schema of ${type}`)
    else faults.push(...findFaults(value, schema, document))
  }
  // What no operation answers is a problem too, and then its schema is the only thing to hold it to.
  if (type === 'application/problem+json')
    faults.push(...findFaults(body, document.components.schemas.Problem!, document))
  else {
    const operation = findOperation(document, pathname, init.method ?? 'GET')
    check(body, operation?.responses[response.status]?.content, type)
    const taken = typeOf(new Headers(init.headers))
    if (operation?.requestBody && taken?.endsWith('json'))
      check(JSON.parse(String(init.body)), operation.requestBody.content, taken)
  }
  if (faults.length > 0)
    throw new Error(`${response.status} of ${url}\n${faults.slice(0, 10).join('\n')}`)
  return response
}

function findOperation({ paths }: Document, pathname: string, method: string) {
  const template = Object.keys(paths).find((template) =>
    new RegExp(`^${template.replaceAll('.', '\\.').replace(/\{\w+\}/g, '[^/]+')}$`).test(pathname),
  )
  return template === undefined ? undefined : paths[template]![method.toLowerCase()]
}

const typeOf = (headers: Headers) => headers.get('content-type')?.split(';')[0]

type Content = Record<string, { schema?: JsonSchema }>
type Document = {
  components: { schemas: Record<string, JsonSchema> }
  paths: Record<
    string,
    Record<
      string,
      { requestBody?: { content: Content }; responses: Record<string, { content: Content }> }
    >
  >
}
