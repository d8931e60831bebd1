import type { CardFacts } from './facts.ts';
import { stagesOf } from './origin.ts';

/** The section that says how to run the model: each way a few lines that work as they stand. */
export function usageSection({ title, name, gguf, origin, adapter, tool }: CardFacts): string {
  const repository = name ?? `your-name/${title}`;
  const file = gguf ?? `${title}.gguf`;
  const converted = gguf
    ? ''
    : ` With sod installed, \`npx sod export ${title} --out ${file}\` makes a GGUF file of them.`;
  return `## Usage

${
  stagesOf(origin).stages.length
    ? 'The model calls tools in the format of its chat template: give it the tools that it was trained with.'
    : 'Tools are offered by the chat template, and called in its format.'
}

### transformers
${adapter ? '\nThe files are adapters: with PEFT installed (`pip install peft`), transformers loads the model that they are of by its name.\n' : ''}
${fenced(
  'python',
  `from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("${repository}")
model = AutoModelForCausalLM.from_pretrained("${repository}")


def ${tool.name}(${tool.argument}: str) -> str:
    """
    ${tool.description}

    Args:
        ${tool.argument}: The Python code to run.
    """


messages = [{"role": "user", "content": "What is 2 to the power of 100?"}]
inputs = tokenizer.apply_chat_template(
    messages, tools=[${tool.name}], add_generation_prompt=True, return_dict=True, return_tensors="pt"
)
output = model.generate(**inputs, max_new_tokens=512)
print(tokenizer.decode(output[0, inputs["input_ids"].shape[1] :]))`,
)}

What stands between \`<tool_call>\` and \`</tool_call>\` is run, and the result appended as a message of the role \`tool\`.

The other ways start from the files: \`hf download ${repository} --local-dir ${title}\`.${converted}

### llama.cpp

${fenced('sh', `llama-server -m ${gguf ? `${title}/${file}` : file} --jinja`)}

### Docker Model Runner

${fenced(
  'sh',
  gguf && name
    ? `docker model run hf.co/${name}`
    : `docker model package --gguf "$PWD/${gguf ? `${title}/${file}` : file}" ${title.toLowerCase()}
docker model run ${title.toLowerCase()}`,
)}

### sod

Where it is installed:

${fenced('sh', `npx sod serve ${title}    # http://127.0.0.1:8000/v1`)}

${fenced(
  'js',
  `import OpenAI from 'openai';

const client = new OpenAI({ baseURL: 'http://127.0.0.1:8000/v1', apiKey: 'none' });
const { choices } = await client.chat.completions.create({
  model: '${title}',
  messages: [{ role: 'user', content: 'What is 2 to the power of 100?' }],
  tools: [
    {
      type: 'function',
      function: {
        name: '${tool.name}',
        description: ${JSON.stringify(tool.description)},
        parameters: { type: 'object', properties: { ${tool.argument}: { type: 'string' } }, required: ['${tool.argument}'] },
      },
    },
  ],
});
console.log(choices[0].message);`,
)}`;
}

function fenced(language: string, code: string): string {
  return `\`\`\`${language}\n${code}\n\`\`\``;
}
