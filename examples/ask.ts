/** Serves the student that `train.ts` made, and asks it from the AI SDK, with the tools it was trained on. */
import { existsSync } from 'node:fs';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateText, stepCountIs, type ToolSet, tool } from 'ai';
import { callTool, serve, type Tool } from 'sod';
import type { z } from 'zod';
import { managersOf, randomDirectory } from './office/directory.ts';
import { officeTools } from './office/tools.ts';
import { ask } from './office/world.ts';

const checkpoint = 'runs/office/student-sod/final';
if (!existsSync(checkpoint)) {
  console.error(`There is no ${checkpoint} yet: run npx tsx examples/train.ts first.`);
  process.exit(1);
}

/** The same tools for the AI SDK. `callTool` tells errors in the words that the model saw in training. */
function aiSdkTools(tools: Tool<z.ZodObject>[]): ToolSet {
  const entries = tools.map(({ name, description, parameters }) => {
    const execute = async (args: Record<string, unknown>) =>
      (await callTool(tools, { name, arguments: args })).observation;
    return [name, tool({ description, inputSchema: parameters, execute })];
  });
  return Object.fromEntries(entries);
}

const server = await serve({ checkpoint, port: 0 });
const model = createOpenAICompatible({ name: 'sod', baseURL: `${server.url}/v1` })(server.model);

const directory = randomDirectory('an office that nobody has seen');
const tools = aiSdkTools(officeTools(directory));
for (const name of directory.keys()) {
  const managers = managersOf(directory, name);
  if (managers.length === 0) continue;
  const prompt = ask(name, 1);
  const { steps, text } = await generateText({ model, tools, prompt, stopWhen: stepCountIs(8), temperature: 0 });
  console.log(prompt);
  for (const { toolName, input, output } of steps.flatMap(step => step.toolResults)) {
    console.log(`  ${toolName}(${JSON.stringify(input)}) → ${output}`);
  }
  const right = text.includes(`\\boxed{${directory.get(managers[0])!.room}}`);
  console.log(`  ${text}  ${right ? 'right' : 'wrong'}`);
}
await server.close();
