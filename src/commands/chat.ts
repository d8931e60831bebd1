import { createInterface } from 'node:readline';
import { Command } from 'commander';
import type { Agent } from '../agent/agent.ts';
import type { ChatEvent, ChatSession } from '../chat/session.ts';
import type { Engine } from '../engine/types.ts';
import { UserError } from '../errors.ts';
import { stringifyJson } from '../json.ts';
import { type AgentOptions, agentOf, withAgent } from './agentOptions.ts';
import { checkpointHelp, checkpointHere } from './checkpointArgument.ts';
import { type DeviceOption, withDevice } from './deviceOption.ts';
import { harmless } from './harmless.ts';
import { type SamplingOptions, withSampling } from './samplingOptions.ts';

interface Options extends SamplingOptions, AgentOptions, DeviceOption {}

export const chatCommand = () =>
  withSampling(
    withDevice(
      withAgent(
        new Command('chat')
          .description('Talk to a model in the terminal, its tools live.')
          .argument('<checkpoint>', checkpointHelp),
      ),
    ),
    2048,
  )
    .addHelpText(
      'after',
      `
Examples:
  sod chat models/Qwen3-0.6B --tools python
  sod chat models/Qwen3-0.6B --mcp files="npx -y @modelcontextprotocol/server-filesystem /tmp"
  sod chat runs/mine/final --tools python,./my-tools.mjs --system "You are a clerk."
  sod chat runs/demo/student-sod/final --world shop     (then /task asks what it was trained for)

In the conversation:
  /task      ask the world's task        /reset     begin anew, with fresh tools
  /messages  the dialogue as JSON        /exit      leave (or Ctrl-D)
Ctrl-C stops an answer, which is then forgotten, and not the program.`,
    )
    .action(async (given: string, options: Options) => {
      const checkpoint = await checkpointHere(given);
      const [{ LocalEngine }, { loadChat }, { ChatSession }] = await Promise.all([
        import('../engine/local/engine.ts'),
        import('../text/loadChat.ts'),
        import('../chat/session.ts'),
      ]);
      const chat = loadChat(checkpoint, { enableThinking: options.thinking === 'on' });
      const { task, messages, ...agent } = await agentOf(options, checkpoint);
      let engine: Engine | undefined;
      try {
        const tools = await agent.tools();
        engine = await LocalEngine.start({ device: options.device, onNotice: console.error });
        const session = new ChatSession({
          sampler: await engine.sampler(checkpoint),
          chat,
          tools,
          messages,
          sampling: { temperature: options.temperature, topP: options.topP },
          maxTokens: options.maxTokens,
          maxTurns: options.maxTurns,
          seed: options.seed,
        });
        const question = task?.messages.find(({ role }) => role === 'user')?.content;
        await converse(session, agent, question).finally(() => session.close());
      } finally {
        await engine?.close();
        await agent.close();
      }
    });

const hint = 'Ctrl-C stops an answer; /exit or Ctrl-D leaves, /help says more.';
const help =
  '/task  ask the task   /reset  begin anew, with fresh tools   /messages  the dialogue as JSON   /exit  leave';

/** Reads messages until the person leaves; what is typed during an answer waits for its turn. */
async function converse(session: ChatSession, agent: Pick<Agent, 'tools'>, task: string | undefined): Promise<void> {
  const terminal = createInterface({ input: process.stdin, output: process.stdout, prompt: '> ', historySize: 1000 });
  let running: AbortController | undefined;
  terminal.on('SIGINT', () => {
    if (running) running.abort();
    else {
      console.log(`\n${hint}`);
      terminal.prompt();
    }
  });
  console.log(hint);
  terminal.prompt();
  for await (const line of terminal) {
    const text = line.trim();
    if (text === '/exit') break;
    if (text === '/help') console.log(help);
    else if (text === '/reset') await session.reset(await agent.tools());
    else if (text === '/messages') console.log(stringifyJson(session.messages, 2));
    else if (text.startsWith('/') && text !== '/task') console.log(`There is no ${text}. ${help}`);
    else if (text === '/task' && !task) console.log('There is no task: start with --world to have one.');
    else if (text) {
      running = new AbortController();
      if (text === '/task') console.log(task);
      await speak(session, text === '/task' ? task! : text, running.signal);
      running = undefined;
    }
    terminal.prompt();
  }
  terminal.close();
}

async function speak(session: ChatSession, message: string, signal: AbortSignal): Promise<void> {
  const page = new Page();
  try {
    await session.answer(message, signal, event => page.show(event));
    page.endLine();
  } catch (error) {
    page.endLine();
    if (signal.aborted) console.log(page.dim('Stopped; this exchange is forgotten.'));
    else if (error instanceof UserError) console.log(error.message);
    else throw error;
  }
}

function endOf(event: Extract<ChatEvent, { kind: 'limit' | 'over' }>): string {
  if (event.kind === 'limit') return `Ended by the limit of ${event.what}.`;
  return 'Ended by its tools: they say that there is no more to do. /reset begins anew.';
}

/** An answer on the terminal: text as it is, calls and what they gave set apart. */
class Page {
  #atLineStart = true;
  #kind: ChatEvent['kind'] | undefined;

  show(event: ChatEvent): void {
    const inCall = this.#kind === 'arguments' || this.#kind === 'call';
    if (event.kind === 'call' || (inCall && event.kind !== 'arguments')) this.endLine();
    if (this.#kind === 'thought' && event.kind !== 'thought') this.endLine();
    if (event.kind === 'text') this.#write(harmless(event.text));
    else if (event.kind === 'thought') this.#write(this.dim(harmless(event.text)));
    else if (event.kind === 'call') this.#write(this.dim(`→ ${harmless(event.name)} `));
    else if (event.kind === 'arguments') this.#write(this.dim(harmless(event.text)));
    else {
      this.endLine();
      const text = event.kind === 'observation' ? `← ${harmless(event.observation.trimEnd())}` : endOf(event);
      const failed = event.kind === 'observation' && event.error;
      this.#write(`${failed ? this.#colour(31, text) : this.dim(text)}\n`);
    }
    this.#kind = event.kind;
  }

  endLine(): void {
    if (!this.#atLineStart) this.#write('\n');
  }

  dim(text: string): string {
    return this.#colour(2, text);
  }

  #colour(code: number, text: string): string {
    return process.stdout.isTTY && !process.env.NO_COLOR ? `\u001b[${code}m${text}\u001b[0m` : text;
  }

  #write(text: string): void {
    if (!text) return;
    process.stdout.write(text);
    this.#atLineStart = text.endsWith('\n');
  }
}
