import { Command } from 'commander';
import type { Sampler } from '../engine/types.ts';
import { checkpointHelp, checkpointHere } from './checkpointArgument.ts';
import { type DeviceOption, withDevice } from './deviceOption.ts';
import { interruptible } from './interrupt.ts';
import { nonNegativeInteger } from './options.ts';
import { type SamplingOptions, withSampling } from './samplingOptions.ts';
import { offeredOf, type ToolsOption, withTools } from './toolOption.ts';

interface Options extends SamplingOptions, ToolsOption, DeviceOption {
  world: string;
  task: number;
}

export const runCommand = () =>
  withSampling(
    withDevice(
      withTools(
        new Command('run')
          .description("Watch a model solve one of a world's held-out tasks with its tools.")
          .argument('<checkpoint>', checkpointHelp)
          .option('--world <world>', 'where the tasks and tools come from', 'shop')
          .option('--task <index>', 'which held-out task', nonNegativeInteger, 0),
      ),
    ),
    2048,
  )
    .addHelpText(
      'after',
      `
Examples:
  sod run runs/demo/student-sod/final
  sod run runs/demo/student-sod/final --task 7 --temperature 0

Prints the dialogue as it goes on: the prompt, each turn of the model, each tool's answer, and whether the result is right.`,
    )
    .action(async (given: string, options: Options) => {
      const checkpoint = await checkpointHere(given);
      const [{ LocalEngine }, { loadChat }, { openWorld }, { tasksOf }, { judge }, { rollout }] = await Promise.all([
        import('../engine/local/engine.ts'),
        import('../text/loadChat.ts'),
        import('../worlds/open.ts'),
        import('../worlds/tasks.ts'),
        import('../worlds/judge.ts'),
        import('../agent/rollout.ts'),
      ]);
      const engine = await LocalEngine.start({ device: options.device, onNotice: console.error });
      try {
        const sampler = await engine.sampler(checkpoint);
        const chat = loadChat(checkpoint, { enableThinking: options.thinking === 'on' });
        const { world, close } = await openWorld(options.world, await offeredOf(options, checkpoint));
        const print = (tokens: readonly number[]) => process.stdout.write(chat.decode(tokens));
        const { correct, answer } = await interruptible(async signal => {
          const [task] = await tasksOf(world, 'test', [options.task], signal);
          const { correct } = await rollout({
            task,
            tools: () => world.tools(task),
            chat,
            sampler: watched(sampler, print),
            sampling: { temperature: options.temperature, topP: options.topP },
            limits: {
              turns: options.maxTurns,
              promptTokens: options.maxPromptTokens,
              responseTokens: options.maxTokens,
            },
            seed: options.seed,
            judge: async (trajectory, tools) => {
              const { score, correct } = await judge(world, task, trajectory, tools);
              return { reward: score, correct };
            },
            signal,
          });
          return { correct, answer: task.answer };
        }).finally(close);
        console.log(`\n\n${correct ? 'Right' : `Wrong: the answer is ${answer}`}`);
      } finally {
        await engine.close();
      }
    });

/** The same sampler, all of whose dialogue is told as it comes. */
function watched(sampler: Sampler, tell: (tokens: readonly number[]) => void): Sampler {
  return {
    generate: (prompt, options, signal) => sampler.generate(prompt, options, signal),
    async open(prompt) {
      tell(prompt);
      const conversation = await sampler.open(prompt);
      return {
        async generate(options, signal) {
          const completion = await conversation.generate(options, signal);
          tell(completion.tokens);
          return completion;
        },
        append(tokens) {
          tell(tokens);
          conversation.append(tokens);
        },
        close: () => conversation.close(),
      };
    },
  };
}
