/** llama.cpp's view of a GGUF file, as JSON: how it cuts texts into tokens, how likely given tokens are, how it goes on greedily. */
import { getLlama, LlamaLogLevel } from 'node-llama-cpp';

const { gguf, texts, sequences, prompts, steps } = JSON.parse(process.argv[2]);
const llama = await getLlama({ gpu: false, build: 'never', logLevel: LlamaLogLevel.error });
const model = await llama.loadModel({ modelPath: gguf });
const context = await model.createContext({ contextSize: 1024, threads: 1 });
const sequence = context.getSequence();

const logprobs = [];
for (const tokens of sequences) {
  await sequence.clearHistory();
  const outputs = await sequence.controlledEvaluate(tokens.map(token => [token, { generateNext: { logits: true } }]));
  logprobs.push(tokens.slice(1).map((token, i) => logprob(outputs[i].next.logits, token)));
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
process.stdout.write(
  JSON.stringify({ cut, logprobs, greedy, template: model.fileInfo.metadata.tokenizer.chat_template }),
);
await llama.dispose();

function logprob(logits, token) {
  let most = Number.NEGATIVE_INFINITY;
  for (const logit of logits.values()) most = Math.max(most, logit);
  let sum = 0;
  for (const logit of logits.values()) sum += Math.exp(logit - most);
  return logits.get(token) - most - Math.log(sum);
}
