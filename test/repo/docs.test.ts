import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { inspect } from 'node:util'
import ts from 'typescript'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { root } from './packages.js'

/**
 * Code in the pages is code. The words after a fence's `ts` say how:
 *
 * - none: a module of its own that must type-check
 * - `continues`: goes on where the block before it ended
 * - `run`: also runs, and prints what the comments after its `console.log` calls say
 * - `fragment`: a sketch that stands in no file
 */
type Block = { page: string; line: number; words: string[]; code: string; file: string }

const folder = join(root, '.docs')
const pages = findPages()
const blocks = pages.flatMap((page) => readBlocks(page))

beforeAll(() => {
  mkdirSync(folder, { recursive: true })
  for (const { file, code } of blocks) writeFileSync(file, code)
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('code blocks', () => {
  test('behavior: type-check', { timeout: 120_000 }, () => {
    const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile)
    const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, root)
    const program = ts.createProgram(
      blocks.map(({ file }) => file),
      options,
    )
    const mistakes = blocks.flatMap((block) => {
      const source = program.getSourceFile(block.file)
      return [
        ...program.getSyntacticDiagnostics(source),
        ...program.getSemanticDiagnostics(source),
      ].map(({ start = 0, messageText }) => {
        const line = block.line + (source?.getLineAndCharacterOfPosition(start).line ?? 0)
        return `${block.page}:${line} ${ts.flattenDiagnosticMessageText(messageText, '\n')}`
      })
    })
    expect(mistakes).toEqual([])
  })

  const runnable = blocks.filter(({ words }) => words.includes('run'))
  test.each(runnable)('behavior: $page:$line runs as it says', async ({ file, code }) => {
    const lines: string[] = []
    const log = vi.spyOn(console, 'log').mockImplementation((...values) => {
      lines.push(
        values
          .map((value) =>
            typeof value === 'string' ? value : inspect(value, { breakLength: Infinity }),
          )
          .join(' '),
      )
    })
    try {
      await import(file)
    } finally {
      log.mockRestore()
    }
    expect(lines).toEqual(
      [...code.matchAll(/console\.log\(.*\) \/\/ (.*)$/gm)].map(([, text]) => text),
    )
  })
})

describe('links', () => {
  test.each(pages)('behavior: %s leads somewhere', (page) => {
    const text = readFileSync(join(root, page), 'utf8').replaceAll(/^```[\s\S]*?^```/gm, '')
    const broken = [...text.matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target = '']) => target.replace(/#.*$/, ''))
      .filter((target) => target !== '' && !/^[a-z]+:/.test(target))
      .filter((target) => !existsSync(join(root, dirname(page), target)))
    expect(broken).toEqual([])
  })
})

function findPages(): string[] {
  const inside = (path: string) =>
    existsSync(join(root, path))
      ? readdirSync(join(root, path), { recursive: true, encoding: 'utf8' }).map((file) =>
          join(path, file),
        )
      : []
  const packageFolders = readdirSync(join(root, 'packages')).map((name) => join('packages', name))
  return [
    ...readdirSync(root),
    ...packageFolders.map((path) => join(path, 'README.md')),
    ...[...packageFolders.map((path) => join(path, 'src')), 'docs', 'examples'].flatMap(inside),
  ]
    .filter((path) => path.endsWith('.md') && !path.includes('node_modules'))
    .filter((path) => existsSync(join(root, path)))
    .sort()
}

function readBlocks(page: string): Block[] {
  const found: Block[] = []
  const lines = readFileSync(join(root, page), 'utf8').split('\n')
  for (let index = 0; index < lines.length; index++) {
    const fence = /^```(?:ts|typescript)\b(.*)$/.exec(lines[index] ?? '')
    if (!fence) continue
    const words = fence[1]?.trim().split(/\s+/).filter(Boolean) ?? []
    const start = index + 1
    while (index < lines.length && lines[index + 1] !== '```') index++
    const body = lines.slice(start, index + 1).join('\n')
    const previous = found.at(-1)
    if (words.includes('fragment')) continue
    if (words.includes('continues') && previous) {
      // Blank lines keep the line numbers of the page.
      const gap = start - previous.line - previous.code.split('\n').length
      previous.code += `${'\n'.repeat(gap + 1)}${body}`
      previous.words.push(...words)
      continue
    }
    const file = join(folder, `${page.replaceAll(/[^\w]/g, '-')}-${start + 1}.ts`)
    // `export {}` makes a block without imports a module.
    found.push({ page: relative('.', page), line: start + 1, words, code: body, file })
  }
  return found.map((block) => ({ ...block, code: `${block.code}\nexport {}\n` }))
}
