import { z } from 'zod';
import { UserError } from '../../errors.ts';
import { Passing } from '../../http/patience.ts';
import type { Call } from './connection.ts';
import { understood } from './dialect.ts';

const outcome = z.object({ success: z.boolean(), message: z.string().nullish() });

/**
 * How vLLM takes new weights from a folder, if it was started with VLLM_SERVER_DEV_MODE=1. Its prefix cache stays that of the old
 * ones until it is reset.
 */
export function reload(folder: string, version: string): Call<void>[] {
  return [
    {
      path: '/collective_rpc',
      body: { method: 'reload_weights', kwargs: { weights_path: folder } },
      endsAt500: true,
      read: () => {},
    },
    {
      path: '/reset_prefix_cache',
      body: {},
      read(answer) {
        // Older versions answer with nothing.
        if (answer === undefined || understood(outcome, answer).success) return;
        throw new Passing('has not reset its prefix cache, of which requests under way hold a part');
      },
    },
    { path: '/update_weight_version', body: { new_version: version }, mayLack: true, read: () => {} },
  ];
}

/** How SGLang does, which flushes its cache itself; and `sod serve`, if it was started with `--weights-from`. */
export function updateFromDisk(folder: string, version: string): Call<void>[] {
  return [
    {
      path: '/update_weights_from_disk',
      body: { model_path: folder, flush_cache: true, weight_version: version },
      endsAt500: true,
      read(answer) {
        const { success, message } = understood(outcome, answer);
        if (!success) throw new UserError(`did not take new weights (${message})`);
      },
    },
  ];
}
