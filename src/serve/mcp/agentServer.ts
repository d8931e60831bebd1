import { McpServer, type ServerContext } from '@modelcontextprotocol/server';
import { z } from 'zod';
import type { Agent } from '../../agent/agent.ts';
import { type Answer, answer } from '../../agent/answer.ts';
import type { Sampler, SamplingOptions } from '../../engine/types.ts';
import { UserError } from '../../errors.ts';
import { Random } from '../../random.ts';
import type { Chat } from '../../text/chat.ts';
import type { Message } from '../../text/message.ts';
import { cutMiddle } from '../../tools/middleCut.ts';
import { toolSchema } from '../../tools/schema.ts';
import { closeTools } from '../../tools/tool.ts';
import { version } from '../../version.ts';
import type { Admission } from '../admission.ts';
import type { AgentOutline } from '../responses/agent.ts';
import { Steps, stepSchema } from './steps.ts';

export interface AgentServerOptions {
  agent: Agent;
  sampler: Sampler;
  chat: Chat;
  /** What the tool is called by which the agent is asked, and what its readers are told of it. */
  name: string;
  description: string;
  sampling: Pick<SamplingOptions, 'temperature' | 'topP'>;
  seed: number;
  maxTurns: number;
  /** A longer prompt is refused. */
  maxPromptTokens: number;
  /** Most tokens of one answer, sampled and observed. */
  maxTokens: number;
  /** Bounds the tasks under way. */
  admission: Admission;
}

const mostTaskChars = 1 << 20;
/** Of what progress says. */
const mostProgressChars = 200;
/** Who waits is told that it goes on. */
const progressEveryMs = 5000;

const result = z.object({
  answer: z.string(),
  end: z
    .enum(['answer', 'over', 'turns', 'tokens'])
    .describe(
      'answer: complete; over: its tools say that there is no more to do; turns, tokens: this limit has ended it',
    ),
  steps: z.array(stepSchema).describe('The calls that it took'),
});

/** An agent as a tool of the Model Context Protocol: a task in, its answer out, with the steps that it took. */
export function agentServer(options: AgentServerOptions): McpServer {
  const server = new McpServer({ name: 'sod', version });
  const { name, description, admission } = options;
  const inputSchema = z.object({
    task: z.string().min(1).max(mostTaskChars).describe('All that the agent needs to know: it sees nothing else'),
  });
  server.registerTool(name, { description, inputSchema, outputSchema: result }, async ({ task }, { mcpReq }) => {
    const visit = admission.enter(1);
    try {
      return await solve(task, options, AbortSignal.any([mcpReq.signal, visit.signal]), progressOf(mcpReq));
    } finally {
      visit.leave();
    }
  });
  return server;
}

/** Says what the tool is for, where nobody has said it. */
export function defaultDescription({ tools }: AgentOutline): string {
  const has = tools.length > 0 ? `, which has the tools ${tools.map(tool => tool.function.name).join(', ')}` : '';
  return `Gives a task to another agent${has}, and returns its answer.`;
}

type Progress = (message: string) => void;

/** Tells who has asked for it what is done. */
function progressOf({ _meta, notify }: ServerContext['mcpReq']): Progress {
  const progressToken = _meta?.progressToken;
  if (progressToken === undefined) return () => {};
  let progress = 0;
  return message => {
    const params = { progressToken, progress: ++progress, message: cutMiddle(message, mostProgressChars) };
    notify({ method: 'notifications/progress', params }).catch(() => {});
  };
}

async function solve(task: string, options: AgentServerOptions, signal: AbortSignal, progress: Progress) {
  const { agent, sampler, chat, sampling, seed, maxTurns, maxTokens, maxPromptTokens } = options;
  const tools = await agent.tools();
  try {
    const messages: Message[] = [...agent.messages, { role: 'user', content: task }];
    const prompt = chat.prompt(messages, tools.map(toolSchema));
    if (prompt.length > maxPromptTokens) {
      throw new UserError(`the prompt has ${prompt.length} tokens, and may have ${maxPromptTokens}: shorten the task`);
    }
    const steps = new Steps();
    let tokens = 0;
    let toldAt = performance.now();
    const tell = (message: string) => {
      toldAt = performance.now();
      progress(message);
    };
    const answered = await answer({
      sampler,
      chat,
      prompt,
      tools,
      sampling: turn => ({ ...sampling, seed: Random.of(seed, 'turn', turn).uint32() }),
      maxTurns,
      maxTokens,
      signal,
      tell(event) {
        steps.take(event);
        if (event.kind === 'arguments') tell(`calls ${steps.all.at(-1)!.tool} ${event.text}`);
      },
      onToken() {
        tokens++;
        if (performance.now() - toldAt > progressEveryMs) tell(`${tokens} tokens`);
      },
    });
    return told(answered.end, steps);
  } finally {
    await closeTools(tools);
  }
}

function told(end: Answer['end'], { said, all }: Steps) {
  const isCut = end === 'turns' || end === 'tokens';
  // Where a tool has the last word, that is the answer.
  const answer = end === 'over' ? (all.at(-1)!.observation ?? '') : said;
  const text = isCut ? `The agent came to the limit of its ${end}; at last it said: ${said}` : answer;
  return {
    content: [{ type: 'text' as const, text }],
    structuredContent: { answer, end, steps: all },
    ...(isCut && { isError: true }),
  };
}
