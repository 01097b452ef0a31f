import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

// npm run build -w examples/arduino-tracker              # into firmware/*.hex
// npm run build -w examples/arduino-tracker -- --print   # as JSON on stdout instead
//
// Compiles the sketches with avr-gcc and Arduino's own core, as the Arduino IDE does. On Debian: apt-get install gcc-avr avr-libc binutils-avr arduino-core-avr

const folder = fileURLToPath(new URL('.', import.meta.url))
const arduino = process.env.ARDUINO_AVR ?? '/usr/share/arduino/hardware/arduino/avr'
const core = join(arduino, 'cores/arduino')

/** Sketches, and the board each is for. */
const sketches = {
  tracker: { board: 'UNO', mcu: 'atmega328p', variant: 'standard' },
  'signing-tracker': { board: 'MEGA2560', mcu: 'atmega2560', variant: 'mega' },
}

const common = ['-Os', '-ffunction-sections', '-fdata-sections', '-Wall', '-DF_CPU=16000000L']
const cpp = ['-x', 'c++', '-std=gnu++11', '-fno-exceptions', '-fno-threadsafe-statics']
const sources = [
  ...['HardwareSerial.cpp', 'HardwareSerial0.cpp', 'Print.cpp', 'Stream.cpp', 'abi.cpp'],
  ...['WInterrupts.c', 'hooks.c', 'main.cpp', 'wiring.c', 'wiring_digital.c'],
]

/** Why nothing can be built here; undefined if it can. */
function findMissing() {
  try {
    execFileSync('avr-gcc', ['--version'], { stdio: 'ignore' })
  } catch {
    return 'avr-gcc is not installed: apt-get install gcc-avr avr-libc binutils-avr'
  }
  return existsSync(core) ? undefined : 'no Arduino core: apt-get install arduino-core-avr'
}

/** Compiles a sketch; its program as Intel HEX, and the bytes of flash and of static RAM it takes. */
function buildSketch(name) {
  const { board, mcu, variant } = sketches[name]
  const target = [`-mmcu=${mcu}`, `-DARDUINO_AVR_${board}`, '-DARDUINO_ARCH_AVR', '-DARDUINO=10819']
  const include = [core, join(arduino, 'variants', variant), join(arduino, 'libraries/EEPROM/src')]
  const flags = [...common, ...target, ...[...include, folder].flatMap((path) => ['-I', path])]
  const out = mkdtempSync(join(tmpdir(), 'machinefi-sketch-'))
  try {
    const compile = (source, object, language) => {
      execFileSync('avr-gcc', [...flags, ...language, '-c', source, '-o', join(out, object)])
      return join(out, object)
    }
    const objects = [
      compile(join(folder, name, `${name}.ino`), 'sketch.o', cpp),
      ...sources.map((file) =>
        compile(
          join(core, file),
          `${file}.o`,
          file.endsWith('.c') ? ['-std=gnu11', '-w'] : [...cpp, '-w'],
        ),
      ),
    ]
    const elf = join(out, 'sketch.elf')
    const hex = join(out, 'sketch.hex')
    execFileSync('avr-gcc', [`-mmcu=${mcu}`, '-Os', '-Wl,--gc-sections', ...objects, '-o', elf])
    execFileSync('avr-objcopy', ['-O', 'ihex', '-R', '.eeprom', elf, hex])
    const size = execFileSync('avr-size', ['-A', elf], { encoding: 'utf8' })
    const sizeOf = (section) =>
      Number(new RegExp(`^\\${section}\\s+(\\d+)`, 'm').exec(size)?.[1] ?? 0)
    const [text, data, bss] = ['.text', '.data', '.bss'].map(sizeOf)
    return {
      flash: text + data,
      hex: readFileSync(hex, 'utf8').replaceAll('\r\n', '\n'),
      ram: data + bss + sizeOf('.noinit'),
    }
  } finally {
    rmSync(out, { force: true, recursive: true })
  }
}

const missing = findMissing()
if (missing !== undefined) {
  console.error(missing)
  process.exit(1)
}
const built = Object.fromEntries(Object.keys(sketches).map((name) => [name, buildSketch(name)]))
if (process.argv.includes('--print')) console.log(JSON.stringify(built))
else
  for (const [name, { flash, hex, ram }] of Object.entries(built)) {
    writeFileSync(join(folder, 'firmware', `${name}.hex`), hex)
    console.log(`${name}: ${flash} bytes of flash, ${ram} of static RAM`)
  }
