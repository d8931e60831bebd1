import type { Device } from './device.ts';
import { native } from './native.ts';

/** What this thread's tensors are on. */
export let device: Device = native;

/** Where tensors that this thread makes from now on are. Those that are there already must not be used while it is another one. */
export function useDevice(next: Device): void {
  device = next;
}
