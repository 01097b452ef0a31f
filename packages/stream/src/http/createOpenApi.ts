import { STATUS_CODES } from 'node:http'
import { type ProblemReason, toProblem } from '../problems.js'
import { type JsonSchema, natural, objectOf, refTo, text } from './JsonSchema.js'
import { type Bodies, bytes, type Route } from './openServer.js'

/** Describes the routes as an OpenAPI 3.1 document. */
export function createOpenApi(routes: readonly Route[], options: createOpenApi.Options): OpenApi {
  const { schemas, title } = options
  const paths: Record<string, Record<string, unknown>> = {}
  for (const route of routes) {
    const { accepts, method, path, query = {}, readers, returns, statuses = [200], summary } = route
    const problems = [...route.problems, ...(readers ? readerProblems : [])]
    const responses: Record<string, unknown> = {}
    for (const status of statuses)
      responses[status] = { description: STATUS_CODES[status], content: toContent(returns) }
    for (const reason of problems) {
      const { status, title } = toProblem(reason)
      const known = responses[status] as { description: string } | undefined
      responses[status] = {
        description: known
          ? `${known.description}; \`${reason}\`: ${title}`
          : `\`${reason}\`: ${title}`,
        content: toContent({ 'application/problem+json': refTo('Problem') }),
      }
    }
    paths[path] ??= {}
    paths[path][method.toLowerCase()] = {
      summary,
      ...(readers && {
        description: `In a private network for ${readersOf[readers]}, who sign the request (ERC-8128).`,
        security: [{}, { signature: [] }],
      }),
      parameters: [
        ...[...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
          name,
          in: 'path',
          required: true,
          schema: { type: 'string' },
        })),
        ...Object.entries(query).map(([name, { description, integer, required }]) => ({
          name,
          in: 'query',
          description,
          required: required === true,
          schema: { type: integer ? 'integer' : 'string' },
        })),
      ],
      ...(accepts && { requestBody: { required: true, content: toContent(accepts) } }),
      responses,
    }
  }
  return {
    openapi: '3.1.0',
    info: { title, version: '0.1.0' },
    paths,
    components: {
      securitySchemes: {
        signature: {
          type: 'apiKey',
          in: 'header',
          name: 'Signature',
          description: 'ERC-8128, beside Signature-Input: RFC 9421 with an account of the chain',
        },
      },
      schemas: { ...schemas, ...shared },
    },
  }
}

export declare namespace createOpenApi {
  type Options = {
    /** What the routes refer to, by name. */
    schemas: Readonly<Record<string, JsonSchema>>
    title: string
  }
}

const shared = {
  Problem: {
    ...objectOf(
      {
        type: text,
        status: natural,
        title: text,
        detail: text,
        retryAfter: { ...natural, description: 'Seconds' },
      },
      ['detail', 'retryAfter'],
    ),
    description: 'RFC 9457; the last part of `type` is a stable code',
  },
  OpenApi: objectOf({
    openapi: text,
    info: objectOf({ title: text, version: text }),
    paths: { type: 'object' },
    components: { type: 'object' },
  }),
} satisfies Record<string, JsonSchema>

/** Bytes have no schema (OpenAPI 3.1.0, §4.8.14.2): their media type says it all. */
function toContent(bodies: Bodies) {
  return Object.fromEntries(
    Object.entries(bodies).map(([type, schema]) => [type, schema === bytes ? {} : { schema }]),
  )
}

const readersOf = {
  device: 'the owner of the device, whom it lets read, and auditors of the network',
  network: 'auditors of the network',
}

/** What is said of a signed request that cannot be taken. */
export const readerProblems: readonly ProblemReason[] = [
  'unsigned',
  'request-signature',
  'repeated',
  'reader',
  'authority',
  'nonces',
  'starting',
  'overloaded',
  'unavailable',
]

export type OpenApi = {
  openapi: '3.1.0'
  info: { title: string; version: string }
  paths: Record<string, Record<string, unknown>>
  components: object
}
