/** By the names of the contracts’ errors: what whoever typed the command can do. */
export const revertHints: Readonly<Record<string, string>> = {
  ERC721NonexistentToken: 'The device is not registered: `machinefi device register` does that.',
  NotMember:
    'The device is no member of the network: its owner joins it with `machinefi device join`.',
  NotNetworkOwner:
    'Only the network’s owner can, whom `machinefi network show` names: --account FILE has its key.',
  NotOwnerOfDevice: 'Only the device’s owner can: --account FILE has its key.',
}
