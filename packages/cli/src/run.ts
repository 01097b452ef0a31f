import { Command, CommanderError, Option } from 'commander'
import manifest from '../package.json' with { type: 'json' }
import type { Context } from './context.js'
import { formatError, toExitCode } from './output/formatError.js'

const accountOption = () =>
  new Option(
    '--account <file>',
    'file with the private key that pays (mode 0600); else MACHINEFI_PRIVATE_KEY; on a development chain its first account',
  )
const readerOption = () =>
  new Option(
    '--account <file>',
    'in a private network: file with the private key of who asks; else MACHINEFI_PRIVATE_KEY',
  )
const jsonOption = () => new Option('--json', 'print JSON on stdout')

/**
 * Runs one command line.
 *
 * @param argv without the interpreter and the script.
 * @returns the exit code: 0, or what {@link toExitCode} says of the error.
 */
export async function run(argv: readonly string[], context: Context): Promise<number> {
  const program = define(context)
  try {
    await program.parseAsync(argv as string[], { from: 'user' })
    return 0
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    if (context.signal.aborted && (error as Error).name === 'AbortError') return 130
    context.stderr.write(`${formatError(error, { json: argv.includes('--json') })}\n`)
    return toExitCode(error)
  }
}

function define(context: Context): Command {
  const program = new Command('machinefi')
    .description('Devices sign what they sense, nodes prove it, contracts pay for it.')
    .version(manifest.version)
    .showHelpAfterError('(see --help)')
    .exitOverride()
    .configureOutput({
      getErrHelpWidth: () => context.stderr.columns || 80,
      getOutHelpWidth: () => context.stdout.columns || 80,
      writeErr: (text) => context.stderr.write(text),
      writeOut: (text) => context.stdout.write(text),
    })
  /** Options of commands that ask a node. */
  const nodeOption = () =>
    fromEnvironment('--node <url>', 'stream node', 'MACHINEFI_NODE', 'http://127.0.0.1:4270')
  /** Options of commands that ask a chain. */
  const rpcOption = () =>
    fromEnvironment(
      '--rpc <url>',
      'JSON-RPC endpoint of the chain',
      'MACHINEFI_RPC',
      'http://127.0.0.1:8545',
    )
  const networkOption = () =>
    fromEnvironment('--network <id>', 'network id', 'MACHINEFI_NETWORK', undefined)
  const networkOrFileOption = () =>
    fromEnvironment('--network <id>', 'network id, or network file', 'MACHINEFI_NETWORK', undefined)
  /** Options of commands that believe receipts for as long as they run. */
  const logKeyOption = () =>
    new Option(
      '--log-key <hex...>',
      'log key that receipts must be by (X‖Y, 64 bytes), then the operator’s next ones; a network file has the first from the chain; the node is believed by default',
    )
  /** Options of commands that join devices. */
  const runOption = () =>
    new Option(
      '--run <file>',
      'production run of the devices, a DID or address a line; needs --model',
    )
  const modelOption = () => new Option('--model <id>', 'model whose maker endorses the run')
  const feeOption = () =>
    new Option('--fee <coins>', 'join fee that you agree to for each device; none by default')
  /** An option whose default is of the context's environment: commander would ask the process's. */
  const fromEnvironment = (
    flags: string,
    description: string,
    variable: string,
    otherwise: string | undefined,
  ) =>
    new Option(flags, description).default(
      context.env[variable] ?? (otherwise === 'any' ? undefined : otherwise),
      `${variable}, else ${otherwise ?? 'the node’s only one'}`,
    )
  const examples = (...lines: string[]) =>
    `\nExamples:\n${lines.map((line) => `  $ machinefi ${line}`).join('\n')}`
  /** A command whose options and output follow the same rules as all others. */
  const add = (parent: Command, nameAndArguments: string) =>
    parent.command(nameAndArguments).addOption(jsonOption())

  add(program, 'demo')
    .description('see the whole path work: a fleet signs, a node proves, a contract pays')
    .option('--csv <file>', 'replay recorded readings (.csv or .csv.gz) on their own clock')
    .option('--devices <n>', 'simulated walkers', '8')
    .option('--days <n>', 'simulated days', '2')
    .option('--metric <call>', 'what a window is worth, such as sum(steps)')
    .option('--threshold <n>', 'least value that earns', '10000')
    .option('--rate <n>', 'tokens per unit of value', '1')
    .option('--cap <n>', 'most tokens per device and window', '100000')
    .option('--seed <n>', 'of the simulated fleet', '1')
    .option('--cheat <kind>', 'watch an operator cheat, and be caught (`list`: all there are)')
    .option('--keep', 'leave chain and node running at the end, until Ctrl-C')
    .option('--progress', 'print progress also where stderr is no terminal')
    .addHelpText(
      'after',
      examples(
        'demo',
        'demo --devices 40 --days 7',
        'demo --cheat inflate-value',
        'demo --csv steps.csv.gz --json',
        'demo --csv walk.csv --metric "distance(latitude,longitude,10)" --threshold 5000',
      ),
    )
    .action(async (options) => (await import('./commands/demo.js')).demo(options, context))

  add(program, 'dev')
    .description('chain, contracts and node in one process, ready to code against')
    .option('--port <n>', 'of the node', '4270')
    .option('--mqtt <port>', 'MQTT broker in the node too (1883 is usual)')
    .option('--coap <port>', 'CoAP too (5683 is usual)')
    .option('--rpc-port <n>', 'of the chain', '8545')
    .option('--window <duration>', 'length of a window', '1m')
    .option('--challenge <duration>', 'challenge window', '10s')
    .option('--schema <fields>', 'name:unit[:scale], separated by commas', 'steps:count')
    .option('--metric <call>', 'what a window is worth', 'sum(steps)')
    .option('--threshold <n>', 'least value that earns', '0')
    .option('--rate <n>', 'tokens per unit of value', '1')
    .option('--cap <n>', 'most tokens per device and window', '1000000')
    .option('--tick <duration>', 'tick of the schema’s clock', '1s')
    .option('--private', 'readings are for owners, whom they let read, and auditors only')
    .option('--network-file <file>', 'write the network here, as `network create` does')
    .addHelpText(
      'after',
      examples('dev', 'dev --window 5m --schema temperature:Cel:2 --metric "coverage(1m)"'),
    )
    .action(async (options) => (await import('./commands/dev.js')).dev(options, context))

  const device = program.command('device').description('keys and registration')
  add(device, 'create <file>')
    .description(
      'make a key: in a file only you can read, or in a token, with a file that says where',
    )
    .addOption(
      new Option('--algorithm <name>', 'curve').choices(['ES256', 'ES256K']).default('ES256'),
    )
    .addOption(
      new Option('--signer <kind>', 'what keeps the key')
        .choices(['software', 'pkcs11', 'tpm'])
        .default('software'),
    )
    .option('--token <label>', 'token that gets the key (a TPM’s is made if absent: machinefi)')
    .option('--label <label>', 'of the key in the token; the name of the file by default')
    .option('--module <path>', 'PKCS#11 module: a shared library of the token’s maker')
    .option(
      '--pin-file <file>',
      'PIN of the token (mode 0600, - reads stdin), noted in the file; else MACHINEFI_PIN',
    )
    .addHelpText(
      'after',
      examples(
        'device create walker.key',
        'device create walker.json --signer tpm --pin-file walker.pin',
        'device create walker.json --signer pkcs11 --module /usr/lib/softhsm/libsofthsm2.so --token station',
      ),
    )
    .action(async (file, options) =>
      (await import('./commands/device/create.js')).createDeviceKey(file, options, context),
    )
  add(device, 'show <device>')
    .description('a key file’s address and DID; or, by DID, what the node knows of a device')
    .addOption(nodeOption())
    .addOption(networkOption())
    .addOption(readerOption())
    .addHelpText('after', examples('device show walker.key', 'device show did:io:0x…'))
    .action(async (device, options) =>
      (await import('./commands/device/show.js')).showDevice(device, options, context),
    )
  add(device, 'records <device>')
    .description('readings of a device, one a line')
    .option('--from <time>', 'ISO 8601, or ms since 1970')
    .option('--to <time>', 'ISO 8601, or ms since 1970; not included')
    .addOption(nodeOption())
    .addOption(networkOption())
    .addOption(readerOption())
    .addHelpText('after', examples('device records did:io:0x… --from 2026-11-21'))
    .action(async (device, options) =>
      (await import('./commands/device/records.js')).showRecords(device, options, context),
    )
  add(device, 'grant <device...>')
    .description('let an account read your devices of a private network, for a time')
    .requiredOption('--to <address>', 'who may read')
    .option('--for <duration>', 'how long', '30d')
    .addOption(networkOrFileOption())
    .addOption(nodeOption())
    .addOption(rpcOption())
    .addOption(accountOption())
    .addHelpText('after', examples('device grant did:io:0x… --to 0x… --for 7d'))
    .action(async (devices, options) =>
      (await import('./commands/device/grant.js')).grantReading(devices, options, context),
    )
  add(device, 'revoke <device...>')
    .description('take that back')
    .requiredOption('--from <address>', 'who may not read any more')
    .addOption(networkOrFileOption())
    .addOption(nodeOption())
    .addOption(rpcOption())
    .addOption(accountOption())
    .addHelpText('after', examples('device revoke did:io:0x… --from 0x…'))
    .action(async (devices, options) =>
      (await import('./commands/device/grant.js')).revokeReading(devices, options, context),
    )
  add(device, 'outbox <folder>')
    .description('what waits in the store of a device, and what was refused, dropped or kept')
    .addHelpText('after', examples('device outbox walker.key.state'))
    .action(async (folder, options) =>
      (await import('./commands/device/outbox.js')).showOutbox(folder, options, context),
    )
  add(device, 'register [file]')
    .description('register a device on the chain and join it to a network')
    .option('--port <path>', 'serial port of a board that signs with a key of its own, not a file')
    .option('--baud <n>', 'speed of the line', '115200')
    .option('--owner <address>', 'who is paid; the paying account by default')
    .option('--no-join', 'register only')
    .option('--relay', 'let the node pay, if it does: no account and no gas is needed, but --owner')
    .addOption(runOption())
    .addOption(modelOption())
    .addOption(feeOption())
    .addOption(networkOrFileOption())
    .addOption(nodeOption())
    .addOption(rpcOption())
    .addOption(accountOption())
    .addHelpText(
      'after',
      examples(
        'device register walker.key --owner 0x…',
        'device register walker.key --owner 0x… --relay --node https://node.example',
        'device register walker.key --run run.txt --model 0x… --fee 0.01',
        'device register --port /dev/ttyACM0',
      ),
    )
    .action(async (file, options) =>
      (await import('./commands/device/register.js')).registerDevice(file, options, context),
    )
  add(device, 'join [device...]')
    .description(
      'join registered devices to a network; of a run, all that are the paying account’s',
    )
    .addOption(runOption())
    .addOption(modelOption())
    .addOption(feeOption())
    .addOption(networkOrFileOption())
    .addOption(nodeOption())
    .addOption(rpcOption())
    .addOption(accountOption())
    .addHelpText(
      'after',
      examples('device join did:io:0x…', 'device join --run run.txt --model 0x…'),
    )
    .action(async (devices, options) =>
      (await import('./commands/device/join.js')).joinRegisteredDevices(devices, options, context),
    )

  const batch = program.command('batch').description('signed batches, as devices send them')
  add(batch, 'inspect <file>')
    .description('what is inside: header, rows, size (- reads stdin)')
    .addHelpText('after', examples('batch inspect batch.cose', 'batch inspect - < batches.cborseq'))
    .action(async (file, options) =>
      (await import('./commands/batch/inspect.js')).inspectBatch(file, options, context),
    )
  add(batch, 'verify <file>')
    .description('check form, rows and signature of every batch in a file')
    .addOption(networkOption())
    .option('--public-key <hex>', 'of the device (X‖Y, 64 bytes); asked of the node by default')
    .option('--fields <n>', 'fields of the schema; asked of the node by default')
    .option('--tick <duration>', 'tick of the schema; asked of the node by default')
    .addOption(nodeOption())
    .addHelpText('after', examples('batch verify batch.cose --network 0x…'))
    .action(async (file, options) =>
      (await import('./commands/batch/verify.js')).verifyBatches(file, options, context),
    )

  add(program, 'verify <file>')
    .description('check packets that other makers’ devices signed, one a line (- reads stdin)')
    .addOption(
      new Option('--profile <name>', 'what the packets are')
        .choices(['pebble-json-2020', 'pebble-json-2021', 'pebble-protobuf'])
        .makeOptionMandatory(),
    )
    .requiredOption('--public-key <hex>', 'of the device (X‖Y, 64 bytes)')
    .option(
      '--out <file>',
      'write the records of the packets that verify here, as replay takes them',
    )
    .option('--progress', 'print progress also where stderr is no terminal')
    .addHelpText(
      'after',
      examples(
        'verify packets.txt --profile pebble-json-2020 --public-key 0x…',
        'verify - --profile pebble-protobuf --public-key 0x… --json < packets.hex',
      ),
    )
    .action(async (file, options) =>
      (await import('./commands/verify.js')).verifyPackets(file, options, context),
    )

  add(program, 'replay <csv>')
    .description('sign recorded readings (.csv or .csv.gz) as one device, and deliver them')
    .requiredOption('--key <file>', 'key of the device')
    .option('--out <file>', 'write the signed batches here instead of sending them')
    .option('--device <name>', 'which device of the file, where it has several')
    .option('--state <folder>', 'where the device keeps its place (beside the key by default)')
    .option('--shift', 'move the readings so that the last one is now')
    .option('--progress', 'print progress also where stderr is no terminal')
    .addOption(networkOrFileOption())
    .addOption(
      fromEnvironment(
        '--node <url>',
        'stream node; with a network file also mqtt://, mqtts:// or coap://',
        'MACHINEFI_NODE',
        'http://127.0.0.1:4270',
      ),
    )
    .addOption(rpcOption())
    .addHelpText(
      'after',
      examples(
        'replay walk.csv --key walker.key --progress',
        'replay walk.csv --key walker.key --out walk.cborseq',
        'replay walk.csv --key walker.key --network steps.json --node mqtts://hub.local',
      ),
    )
    .action(async (csv, options) =>
      (await import('./commands/replay.js')).replay(csv, options, context),
    )

  add(program, 'bridge')
    .description('a board on a serial line: sign its readings, or pass on what it signed')
    .requiredOption('--port <path>', 'serial port, such as /dev/ttyUSB0')
    .option('--key <file>', 'key that signs the readings of a board that has none')
    .option('--baud <n>', 'speed of the line', '115200')
    .option('--max-age <duration>', 'how old a reading may get before it is sent', '10m')
    .option('--state <folder>', 'where readings wait (beside the key by default)')
    .addOption(logKeyOption())
    .addOption(networkOrFileOption())
    .addOption(nodeOption())
    .addOption(rpcOption())
    .addHelpText(
      'after',
      examples(
        'bridge --port /dev/ttyUSB0 --key board.key',
        'bridge --port /dev/ttyACM0 --network steps.json --rpc https://rpc.example',
        'bridge --port /dev/ttyACM0 --log-key 0x…',
      ),
    )
    .action(async (options) => (await import('./commands/bridge.js')).bridge(options, context))

  const gateway = program
    .command('gateway')
    .description('sign for devices that share a key with it, and cannot sign themselves')
  const gatewayDataOption = () =>
    new Option('--data <folder>', 'data directory of the gateway').default('gateway')
  add(gateway, 'create')
    .description('make both keys of a device; prints the one to put into it, once')
    .addOption(gatewayDataOption())
    .addOption(networkOption())
    .addOption(nodeOption())
    .addHelpText('after', examples('gateway create', 'gateway create --json > board.json'))
    .action(async (options) =>
      (await import('./commands/gateway/create.js')).createGatewayDevice(options, context),
    )
  add(gateway, 'list')
    .description('the devices of a gateway, with the newest counter of each')
    .addOption(gatewayDataOption())
    .option('--addresses', 'only the addresses of those that are not revoked: a run')
    .addHelpText('after', examples('gateway list', 'gateway list --addresses > run.txt'))
    .action(async (options) =>
      (await import('./commands/gateway/list.js')).listGatewayDevices(options, context),
    )
  add(gateway, 'revoke <device>')
    .description('take nothing more from a device, at once, also in a gateway that runs')
    .addOption(gatewayDataOption())
    .action(async (device, options) =>
      (await import('./commands/gateway/revoke.js')).revokeGatewayDevice(device, options, context),
    )
  add(gateway, 'start')
    .description('take readings in SenML, sign them, and deliver them to a node')
    .addOption(gatewayDataOption())
    .option('--host <address>', 'interface to listen on', '127.0.0.1')
    .option('--port <n>', 'port to listen on', '4280')
    .option('--mqtt <port>', 'be an MQTT broker for devices (1883 is usual, 8883 with TLS)')
    .option('--coap <port>', 'take CoAP (5683 is usual); it has no TLS')
    .option('--rate <n>', 'messages of a device in a minute', '60')
    .option('--max-age <duration>', 'how old a reading may get before it is sent', '10m')
    .option('--tls-cert <file>', 'certificate for HTTP and MQTT, PEM; read again on change')
    .option('--tls-key <file>', 'its key, PEM')
    .option(
      '--tls-client-ca <file>',
      'let only clients in that have a certificate of this authority',
    )
    .addOption(logKeyOption())
    .option('--network <file>', 'network file of its devices: believe the chain, not the node')
    .addOption(nodeOption())
    .addOption(rpcOption())
    .addHelpText(
      'after',
      examples(
        'gateway start',
        'gateway start --host 0.0.0.0 --tls-cert gw.pem --tls-key gw.key',
        'gateway start --network steps.json --rpc https://rpc.example',
      ),
    )
    .action(async (options) =>
      (await import('./commands/gateway/start.js')).startGateway(options, context),
    )

  const node = program.command('node').description('the stream node')
  add(node, 'start')
    .description('run a node for one or more networks')
    .requiredOption('--data <folder>', 'data directory')
    .requiredOption('--network <file...>', 'networks to serve, as `network create` wrote them')
    .requiredOption('--log-key <file>', 'P-256 key that signs checkpoints (made if absent)')
    .option('--bond', 'put in what is missing of the operator’s bond')
    .option(
      '--relay <file>',
      'pay for registrations of devices from the account with this private key; not the operator’s',
    )
    .option('--relays-per-day <n>', 'most registrations to pay for in a UTC day', '100')
    .option(
      '--peer <url...>',
      'other nodes of the networks: they have the ledgers that other operators posted',
    )
    .option(
      '--public-url <url...>',
      'where readers of private networks reach it, if not at what it listens at',
    )
    .option('--host <address>', 'interface to listen on', '127.0.0.1')
    .option('--port <n>', 'port to listen on', '4270')
    .option('--mqtt <port>', 'be an MQTT broker for devices (1883 is usual, 8883 with TLS)')
    .option('--coap <port>', 'take CoAP (5683 is usual); it has no TLS')
    .option(
      '--mqtt-broker <url...>',
      'take batches from other brokers too; name and password in MACHINEFI_MQTT_USERNAME and MACHINEFI_MQTT_PASSWORD',
    )
    .option('--mqtt-broker-ca <file>', 'authority of their certificates, PEM')
    .addOption(
      new Option('--mqtt-broker-version <version>', 'of MQTT, spoken to them')
        .choices(['3.1.1', '5'])
        .default('5'),
    )
    .option(
      '--tls-cert <file>',
      'certificate for HTTP, MQTT and brokers, PEM; read again on change',
    )
    .option('--tls-key <file>', 'its key, PEM')
    .option(
      '--tls-client-ca <file>',
      'let only clients in that have a certificate of this authority',
    )
    .addOption(rpcOption())
    .addOption(accountOption())
    .addHelpText(
      'after',
      examples(
        'node start --network steps.json --data ./node --log-key log.key --bond',
        'node start --network steps.json --data ./node --log-key log.key --mqtt 8883 --tls-cert node.pem --tls-key node.key',
        'node start --network steps.json --data ./node --log-key log.key --mqtt-broker mqtts://broker.example',
      ),
    )
    .action(async (options) =>
      (await import('./commands/node/start.js')).startNode(options, context),
    )
  add(node, 'rotate-key <file>')
    .description('change the log key of a stopped node (the new one is made if absent)')
    .requiredOption('--data <folder>', 'data directory of the node')
    .requiredOption('--network <file...>', 'all networks that it serves')
    .addOption(rpcOption())
    .addOption(accountOption())
    .addHelpText(
      'after',
      examples('node rotate-key new.key --network steps.json --data ./node --account operator.hex'),
    )
    .action(async (file, options) =>
      (await import('./commands/node/rotateKey.js')).rotateKey(file, options, context),
    )

  const network = program.command('network').description('machine networks')
  add(network, 'create')
    .description('create a network: token, membership, settlement')
    .requiredOption('--out <file>', 'where the network is written, for `node start`')
    .option(
      '--deployment <file>',
      'addresses of the shared contracts; if there is no such file, they are deployed and written there',
    )
    .requiredOption('--name <name>', 'of the token')
    .requiredOption('--symbol <symbol>', 'of the token')
    .option('--operator <address>', 'who posts epochs; the paying account by default')
    .option('--schema <fields>', 'name:unit[:scale], separated by commas', 'steps:count')
    .option('--tick <duration>', 'tick of the schema’s clock', '1s')
    .option('--window <duration>', 'length of a window', '1d')
    .option('--grace <duration>', 'time for late data after a window', '1h')
    .option('--challenge-window <duration>', 'time to challenge an epoch', '7d')
    .option('--response-time <duration>', 'time to answer a challenge', '1d')
    // Their names before there were challenges.
    .addOption(new Option('--challenge <duration>').hideHelp())
    .addOption(new Option('--response <duration>').hideHelp())
    .option('--min-bond <coins>', 'least bond of an operator, in the chain’s coin', '1')
    .option('--challenge-bond <coins>', 'least bond of a challenge', '0.1')
    .option('--private', 'readings are for owners, whom they let read, and auditors only')
    .option('--attested', 'nobody can challenge: the operator’s word is all there is')
    .option('--takeover <duration>', 'after which a listed operator may post instead', '1h')
    .option('--retention <duration>', 'how long rows are kept', '30d')
    .option('--metric <call>', 'what a window is worth', 'sum(steps)')
    .option('--threshold <n>', 'least value that earns', '0')
    .option('--rate <n>', 'tokens per unit of value', '1')
    .option('--cap <n>', 'most tokens per device and window', '1000000')
    .option('--coverage <n>', 'reward units that a wei of bond stands for', '1000000')
    .addOption(rpcOption())
    .addOption(accountOption())
    .addHelpText(
      'after',
      examples(
        'network create --name Steps --symbol STEP --threshold 10000 --out steps.json --deployment deployment.json',
      ),
    )
    .action(async (options) =>
      (await import('./commands/network/create.js')).createMachineNetwork(options, context),
    )

  add(network, 'show')
    .description('the rules of a network, as the chain has them: what is paid, what is at stake')
    .addOption(networkOrFileOption())
    .addOption(nodeOption())
    .addOption(rpcOption())
    .addHelpText('after', examples('network show', 'network show --network steps.json'))
    .action(async (options) =>
      (await import('./commands/network/show.js')).showNetwork(options, context),
    )

  const payingNetwork = (nameAndArguments: string) =>
    add(network, nameAndArguments)
      .addOption(networkOrFileOption())
      .addOption(nodeOption())
      .addOption(rpcOption())
      .addOption(accountOption())
  payingNetwork('auditor <address>')
    .description('name who may read and challenge all devices of a private network; its owner can')
    .option('--remove', 'take the name back')
    .addHelpText('after', examples('network auditor 0x…', 'network auditor 0x… --remove'))
    .action(async (address, options) =>
      (await import('./commands/network/auditor.js')).setAuditor(address, options, context),
    )
  payingNetwork('accept <model>')
    .description('let devices of a model join, as its owner: their maker’s endorsements count')
    .option('--revoke', 'let them count no longer; members stay')
    .addHelpText('after', examples('network accept 0x…', 'network accept 0x… --revoke'))
    .action(async (model, options) =>
      (await import('./commands/network/accept.js')).acceptDeviceModel(model, options, context),
    )
  payingNetwork('require')
    .description('set what a device needs to join, as its owner; members stay')
    .addOption(
      new Option(
        '--assurance <name>',
        'the least; what is above none needs an endorsement',
      ).choices(['none', 'gateway', 'software', 'secure-element']),
    )
    .option('--join-fee <coins>', 'for each device; 0 for none')
    .addHelpText(
      'after',
      examples(
        'network require --assurance secure-element',
        'network require --assurance none --join-fee 0.01',
      ),
    )
    .action(async (options) =>
      (await import('./commands/network/require.js')).requireOfDevices(options, context),
    )
  payingNetwork('withdraw')
    .description('send the join fees to the network’s owner; anyone may')
    .addHelpText('after', examples('network withdraw'))
    .action(async (options) =>
      (await import('./commands/network/withdraw.js')).withdrawJoinFees(options, context),
    )

  const model = program
    .command('model')
    .description('what makers make: models of devices, and production runs they vouch for')
  const addModel = (nameAndArguments: string) =>
    add(model, nameAndArguments)
      .option('--registry <address>', 'device registry; the network’s by default')
      .addOption(networkOrFileOption())
      .addOption(nodeOption())
      .addOption(rpcOption())
  addModel('create <name>')
    .description('create a model of the paying account’s; name and assurance never change')
    .addOption(
      new Option('--assurance <name>', 'how all its devices keep their keys')
        .choices(['gateway', 'software', 'secure-element'])
        .makeOptionMandatory(),
    )
    .addOption(accountOption())
    .addHelpText('after', examples('model create "Walker 2" --assurance secure-element'))
    .action(async (name, options) =>
      (await import('./commands/model/create.js')).createDeviceModel(name, options, context),
    )
  addModel('endorse <run>')
    .description('vouch for all devices of a file, a DID or address a line (- reads stdin)')
    .addOption(modelOption().makeOptionMandatory())
    .addOption(accountOption())
    .addHelpText(
      'after',
      examples(
        'model endorse run.txt --model 0x…',
        'gateway list --addresses | machinefi model endorse - --model 0x…',
      ),
    )
    .action(async (run, options) =>
      (await import('./commands/model/endorse.js')).endorseDevices(run, options, context),
    )
  addModel('revoke <run>')
    .description('vouch no longer for a run, by its file or its root; members stay')
    .addOption(modelOption().makeOptionMandatory())
    .addOption(accountOption())
    .addHelpText('after', examples('model revoke run.txt --model 0x…'))
    .action(async (run, options) =>
      (await import('./commands/model/revoke.js')).revokeDevices(run, options, context),
    )
  addModel('show <model>')
    .description('maker, assurance and runs of a model')
    .addHelpText('after', examples('model show 0x…'))
    .action(async (id, options) =>
      (await import('./commands/model/show.js')).showModel(id, options, context),
    )

  const epoch = program.command('epoch').description('posted windows')
  add(epoch, 'list')
    .description('windows that were posted')
    .addOption(nodeOption())
    .addOption(networkOption())
    .addHelpText('after', examples('epoch list'))
    .action(async (options) =>
      (await import('./commands/epoch/list.js')).listEpochs(options, context),
    )
  add(epoch, 'show <window>')
    .description('one window: roots, total, claims')
    .option('--out <file>', 'save its bundle, all that an auditor needs')
    .addOption(nodeOption())
    .addOption(networkOption())
    .addOption(readerOption())
    .addHelpText(
      'after',
      examples('epoch show 2026-11-21', 'epoch show today', 'epoch show 20778 --out epoch.bundle'),
    )
    .action(async (window, options) =>
      (await import('./commands/epoch/show.js')).showEpoch(window, options, context),
    )

  const claim = program.command('claim').description('what a device earned, and the proof of it')
  add(claim, 'show <device>')
    .description('claims of a device')
    .option('--window <window>', 'number, date, ISO start, today or now; all by default')
    .option('--out <file>', 'save the evidence of the window’s claim, for `claim verify`')
    .addOption(nodeOption())
    .addOption(networkOption())
    .addOption(readerOption())
    .addHelpText('after', examples('claim show did:io:0x… --window today'))
    .action(async (device, options) =>
      (await import('./commands/claim/show.js')).showClaim(device, options, context),
    )
  add(claim, 'explain <device>')
    .description('why a window paid what it paid: late data, gaps, jumps, the threshold')
    .option(
      '--window <window>',
      'number, date, ISO start, today or now; by default the last that was posted, else the present one',
    )
    .addOption(networkOrFileOption())
    .addOption(nodeOption())
    .addOption(rpcOption())
    .addOption(readerOption())
    .addHelpText(
      'after',
      examples('claim explain did:io:0x…', 'claim explain did:io:0x… --window 2026-11-21'),
    )
    .action(async (device, options) =>
      (await import('./commands/claim/explain.js')).explainOneClaim(device, options, context),
    )
  add(claim, 'redeem <device...>')
    .description('mint what final windows earned, to the owner')
    .addOption(nodeOption())
    .addOption(networkOption())
    .addOption(rpcOption())
    .addOption(accountOption())
    .addHelpText('after', examples('claim redeem did:io:0x…'))
    .action(async (devices, options) =>
      (await import('./commands/claim/redeem.js')).redeemClaims(devices, options, context),
    )
  add(claim, 'verify <bundle>')
    .description('check a bundle from scratch: signatures, log, fold, ledger, posted root')
    .option('--device <device>', 'print this device only')
    .option('--epoch <hash>', 'posted epoch hash, as read from the chain yourself')
    .option(
      '--check-chain',
      'compare with the chain at --rpc: posted, not voided, by the bonded key, with the metric it names',
    )
    .addOption(
      fromEnvironment(
        '--network <id>',
        'network the bundle must be of; --check-chain needs it, since anyone can create a network',
        'MACHINEFI_NETWORK',
        'any',
      ),
    )
    .addOption(rpcOption())
    .addHelpText(
      'after',
      examples(
        'claim verify epoch.bundle --device did:io:0x…',
        'claim verify epoch.bundle --check-chain --network 0x…',
      ),
    )
    .action(async (bundle, options) =>
      (await import('./commands/claim/verify.js')).verifyClaims(bundle, options, context),
    )

  const challenge = program.command('challenge').description('disputes about posted windows')
  const disputeOptions = [networkOrFileOption, nodeOption, rpcOption]
  const dispute = (parent: Command, nameAndArguments: string, options = disputeOptions) => {
    const command = add(parent, nameAndArguments)
    for (const option of options) command.addOption(option())
    return command
  }
  const disputeAndPay = (parent: Command, nameAndArguments: string) =>
    dispute(parent, nameAndArguments, [...disputeOptions, accountOption])
  dispute(challenge, 'list')
    .description('all challenges, and what became of them')
    .option('--window <window>', 'number, date, ISO start, today or now; all by default')
    .addHelpText('after', examples('challenge list', 'challenge list --window 2026-11-21'))
    .action(async (options) =>
      (await import('./commands/challenge/list.js')).listChallenges(options, context),
    )
  dispute(challenge, 'show <id>')
    .description('what a challenge asks for, and what can be done about it')
    .addHelpText('after', examples('challenge show 0x…'))
    .action(async (id, options) =>
      (await import('./commands/challenge/show.js')).showChallenge(id, options, context),
    )
  const open = challenge
    .command('open')
    .description('make the operator show a place of a posted window; `audit` opens all other kinds')
  for (const [kind, point, description, example] of [
    ['step', '<slot> <step>', 'a batch of a device’s trace, with its rows', 'step 2026-11-21 0 3'],
    [
      'carry',
      '<slot> [device]',
      'what a device had earned before a window, and after it; without a device: that nobody has the slot',
      'carry 2026-11-21 0 did:io:0x…',
    ],
    [
      'reveal',
      '<height> <index>',
      'a part of the ledger, where the operator hides it',
      'reveal 2026-11-21 5 0',
    ],
  ] as const)
    disputeAndPay(open, `${kind} <window> ${point}`)
      .description(description)
      .option('--bond <coins>', 'stake, lost if anyone answers; what the network asks by default')
      .addHelpText('after', examples(`challenge open ${example}`))
      .action(async (window, first, second, options) =>
        (await import('./commands/challenge/open.js')).openNewChallenge(
          kind,
          window,
          [first, second],
          options,
          context,
        ),
      )
  disputeAndPay(challenge, 'uphold <id>')
    .description('slash the operator: nobody answered in time')
    .addHelpText('after', examples('challenge uphold 0x…'))
    .action(async (id, options) =>
      (await import('./commands/challenge/uphold.js')).upholdOne(id, options, context),
    )
  disputeAndPay(challenge, 'refund <id>')
    .description('give a stake back: another challenge voided the window')
    .addHelpText('after', examples('challenge refund 0x…'))
    .action(async (id, options) =>
      (await import('./commands/challenge/refund.js')).refundOne(id, options, context),
    )
  disputeAndPay(challenge, 'withdraw')
    .description('take out stakes and rewards')
    .addHelpText('after', examples('challenge withdraw'))
    .action(async (options) =>
      (await import('./commands/challenge/withdraw.js')).withdrawAll(options, context),
    )

  const ioid = program.command('ioid').description('devices in IoTeX’s own registry, ioID')
  const registryOption = () =>
    new Option('--registry <address>', 'the ioIDRegistry; IoTeX’s own by default, on its chains')
  const addIoid = (nameAndArguments: string) =>
    add(ioid, nameAndArguments).addOption(registryOption()).addOption(rpcOption())
  /** Options of a command that names a DID document. */
  const withDocument = (command: Command) =>
    command
      .requiredOption('--hash <hex>', 'of the DID document, 32 bytes')
      .requiredOption('--uri <uri>', 'where the DID document is')
  addIoid('show <device>')
    .description('owner, wallet and document of a device')
    .addHelpText('after', examples('ioid show did:io:0x… --rpc https://babel-api.mainnet.iotex.io'))
    .action(async (device, options) =>
      (await import('./commands/ioid/show.js')).showIoid(device, options, context),
    )
  withDocument(addIoid('register <file>'))
    .description('register the device of a key file (ES256K: ioID knows no P-256)')
    .requiredOption('--contract <address>', 'the project’s device contract, an ERC-721')
    .requiredOption('--token <n>', 'token of it, the paying account’s: it goes into the wallet')
    .option('--value <coins>', 'price of an ioID, where the project did not pay before')
    .addOption(accountOption())
    .addHelpText(
      'after',
      examples(
        'ioid register tracker.key --contract io1… --token 7 --hash 0x… --uri ipfs://… --account owner.hex',
      ),
    )
    .action(async (file, options) =>
      (await import('./commands/ioid/register.js')).registerInIoid(file, options, context),
    )
  withDocument(addIoid('update <file>'))
    .description('set another DID document')
    .addOption(accountOption())
    .addHelpText('after', examples('ioid update tracker.key --hash 0x… --uri ipfs://…'))
    .action(async (file, options) =>
      (await import('./commands/ioid/update.js')).updateInIoid(file, options, context),
    )
  addIoid('remove <file>')
    .description('take a device out of the registry')
    .addOption(accountOption())
    .addHelpText('after', examples('ioid remove tracker.key'))
    .action(async (file, options) =>
      (await import('./commands/ioid/remove.js')).removeFromIoid(file, options, context),
    )

  add(program, 'audit')
    .description(
      'trust nobody: copy the log, compute every posted window again, dispute what is wrong',
    )
    .requiredOption('--data <folder>', 'where the copy is kept; it goes on where it was')
    .option('--once', 'one round, then exit: 0 all right, 3 fraud found, 4 not all could be seen')
    .option('--window <window>', 'this one only, and once: number, date, ISO start, today or now')
    .option('--dry-run', 'say what is wrong and what would be done; nothing is sent or staked')
    .option('--sample <n>', 'without the data: challenge this many random steps of each window')
    .option('--max-stake <coins>', 'most that may be at stake at a time; 32 bonds by default')
    .option(
      '--patience <duration>',
      'how long data may be missing until it is asked for on chain, which costs a bond',
      '1h',
    )
    .option('--every <duration>', 'between two rounds', '5s')
    .option('--progress', 'print progress also where stderr is no terminal')
    .option('--also <url...>', 'nodes of other operators of the network')
    .addOption(networkOrFileOption())
    .addOption(nodeOption())
    .addOption(rpcOption())
    .addOption(accountOption())
    .addHelpText(
      'after',
      examples(
        'audit --network 0x… --data ./audit --once --dry-run',
        'audit --network steps.json --data ./audit --account auditor.hex --max-stake 2',
        'audit --network steps.json --data ./audit --window 2026-11-21 --dry-run --json',
      ),
    )
    .action(async (options) => (await import('./commands/audit.js')).audit(options, context))

  return program
}
