import { hasCpu, openCpu } from './cpu/cpu.ts';
import type { Device } from './device.ts';

let current: Device | undefined;

/** What this thread's tensors are on: the CPU, unless `useDevice` said otherwise. @throws SystemRefusal where its kernels are not there */
export function device(): Device {
  current ??= openCpu().device;
  return current;
}

/** Whether this thread has one. */
export function hasDevice(): boolean {
  return current !== undefined || hasCpu();
}

/** Where tensors that this thread makes from now on are. Those that are there already must not be used while it is another one. */
export function useDevice(next: Device): void {
  current = next;
}
