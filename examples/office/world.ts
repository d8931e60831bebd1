/** What the agent learns in: questions about offices it has never seen, and an expert who shows how they are answered. */
import { callTool, type Message, Random, type Task, type ToolCall, type WorldFactory } from 'sod';
import { type Directory, managersOf, nicknames, randomDirectory } from './directory.ts';
import { officeTools } from './tools.ts';

interface Question {
  directory: Directory;
  /** As people say it: perhaps a nickname. */
  asked: string;
  name: string;
  /** How many managers up. */
  levels: number;
}

const office: WorldFactory = () => ({
  name: 'office',
  task(split, index): Task {
    const id = `${split}/${index}`;
    const { directory, asked, name, levels } = questionOf(id);
    return {
      id,
      messages: [{ role: 'user', content: ask(asked, levels) }],
      answer: directory.get(managersOf(directory, name)[levels - 1])!.room,
    };
  },
  tools: task => officeTools(questionOf(task.id).directory),
  async demonstrate(task) {
    const { directory, asked, name, levels } = questionOf(task.id);
    const chain = [name, ...managersOf(directory, name)].slice(0, levels + 1);
    const call = (tool: string, name: string): ToolCall => ({ name: tool, arguments: { name } });
    const calls = [...chain.slice(0, -1).map(name => call('manager', name)), call('room', chain.at(-1)!)];
    if (asked !== name) calls.unshift(call('manager', asked));

    const messages: Message[] = [];
    for (const toolCall of calls) {
      const { observation } = await callTool(officeTools(directory), toolCall);
      messages.push({ role: 'assistant', content: '', toolCalls: [toolCall] }, { role: 'tool', content: observation });
    }
    return [...messages, { role: 'assistant', content: `\\boxed{${task.answer}}` }];
  },
});
export default office;

/** The question as the agent is asked it, in training and in use. */
export function ask(name: string, levels: number): string {
  return `In which room is ${name}${"'s manager".repeat(levels)}? Answer in \\boxed{}.`;
}

/** The question behind a task, found by its id alone. */
function questionOf(id: string): Question {
  const directory = randomDirectory(id);
  const random = Random.of('question', id);
  const name = random.pick([...directory.keys()].filter(name => managersOf(directory, name).length > 0));
  const nickname = Object.keys(nicknames).find(short => nicknames[short] === name);
  return {
    directory,
    name,
    asked: nickname && random.uniform() < 0.5 ? nickname : name,
    levels: 1 + random.below(Math.min(3, managersOf(directory, name).length)),
  };
}
