import { Command } from 'commander';

export const devicesCommand = () =>
  new Command('devices')
    .description('What this machine can compute on, and how fast: a few seconds each.')
    .addHelpText(
      'after',
      `
What was measured is kept in sod/devices.json in $XDG_CACHE_HOME (default ~/.cache): by it, engine.device: auto takes the GPU where
that is clearly faster than the CPU for a model; a small one is done before a GPU has begun. A program in a GPU's place, such as
SwiftShader, is never taken unasked. Of each GPU the fastest tiles for products are kept as well: they change no result.`,
    )
    .action(async () => {
      const { describeCpu, describeGpu } = await import('../engine/local/describeDevices.ts');
      const { fasterDevice } = await import('../engine/local/fasterDevice.ts');
      const { keepMeasured } = await import('../engine/local/measurements.ts');
      const { parseConfig } = await import('../model/config.ts');
      const { publishedConfigs } = await import('../model/published.ts');
      const cpu = describeCpu();
      console.log(cpu.text);
      const gpu = await describeGpu();
      console.log(gpu.text);
      keepMeasured({ cpu: cpu.measured, ...gpu.measured });
      const model = 'Qwen/Qwen3-0.6B';
      console.log(`auto: ${fasterDevice(parseConfig(publishedConfigs[model]))} for ${model}`);
    });
