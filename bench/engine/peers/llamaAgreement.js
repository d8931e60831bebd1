/**
 * llama.cpp's view of GGUF files, as JSON: how each cuts texts into tokens, how likely given tokens are (those from `from` on),
 * and how it goes on greedily. Reads a list of requests from the standard input.
 */
import { readFileSync } from 'node:fs';
import { getLlama, LlamaLogLevel } from 'node-llama-cpp';

const requests = JSON.parse(readFileSync(0, 'utf8'));
const llama = await getLlama({ gpu: false, build: 'never', logLevel: LlamaLogLevel.error });
const answers = [];
for (const request of requests) answers.push(await answer(request));
process.stdout.write(JSON.stringify(answers));
await llama.dispose();

async function answer({ gguf, texts, sequences, prompts, steps }) {
  const model = await llama.loadModel({ modelPath: gguf });
  const context = await model.createContext({ contextSize: 1024, threads: 1 });
  const sequence = context.getSequence();
  const logprobs = [];
  for (const { tokens, from } of sequences) {
    await sequence.clearHistory();
    const wanted = tokens.slice(0, -1).map((token, i) => [token, { generateNext: { logits: i + 1 >= from } }]);
    const outputs = await sequence.controlledEvaluate(wanted);
    logprobs.push(tokens.slice(from).map((token, i) => logprob(outputs[from - 1 + i].next.logits, token)));
  }
  const greedy = [];
  for (const prompt of prompts) {
    await sequence.clearHistory();
    const tokens = [];
    for await (const token of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
      tokens.push(token);
      if (tokens.length === steps) break;
    }
    greedy.push(tokens);
  }
  const cut = texts.map(text => model.tokenize(text, false));
  const { chat_template: template } = model.fileInfo.metadata.tokenizer;
  await context.dispose();
  await model.dispose();
  return { cut, logprobs, greedy, template };
}

function logprob(logits, token) {
  const all = Float64Array.from(logits.values());
  const most = all.reduce((a, b) => Math.max(a, b));
  return logits.get(token) - most - Math.log(all.reduce((sum, logit) => sum + Math.exp(logit - most), 0));
}
