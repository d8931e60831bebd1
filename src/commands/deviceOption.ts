import { type Command, Option } from 'commander';

/** Where this machine computes. */
export interface DeviceOption {
  device: 'auto' | 'cpu' | 'gpu';
}

export function withDevice(command: Command): Command {
  return command.addOption(deviceOption().default('auto'));
}

export function deviceOption(): Option {
  return new Option('--device <device>', 'where it is computed; auto: see sod devices').choices(['auto', 'cpu', 'gpu']);
}
