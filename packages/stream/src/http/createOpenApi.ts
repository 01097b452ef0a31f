import { type ProblemReason, toProblem } from '../problems.js'
import type { Route } from './openServer.js'

/** Describes the routes as an OpenAPI 3.1 document. */
export function createOpenApi(
  routes: readonly Route[],
  { title = 'MachineFi stream node' }: { title?: string } = {},
): OpenApi {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const route of routes) {
    const { accepts, method, path, query = {}, readers, returns, summary } = route
    const problems = [...route.problems, ...(readers ? readerProblems : [])]
    const responses: Record<string, unknown> = {
      200: {
        description: 'OK',
        content: Object.fromEntries(returns.map((type) => [type, {}])),
      },
    }
    for (const reason of problems) {
      const { status, title } = toProblem(reason)
      const known = responses[status] as { description: string } | undefined
      responses[status] = {
        description: known
          ? `${known.description}; \`${reason}\`: ${title}`
          : `\`${reason}\`: ${title}`,
        content: {
          'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
        },
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
      ...(accepts
        ? {
            requestBody: {
              required: true,
              content: Object.fromEntries(accepts.map((type) => [type, {}])),
            },
          }
        : {}),
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
      schemas: {
        Problem: {
          type: 'object',
          description: 'RFC 9457; the last part of `type` is a stable code',
          required: ['type', 'status', 'title'],
          properties: {
            type: { type: 'string' },
            status: { type: 'integer' },
            title: { type: 'string' },
            detail: { type: 'string' },
          },
        },
      },
    },
  }
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
