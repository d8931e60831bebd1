// One token from each row of logits, by temperature, top-k and top-p, with a given uniform number as the only chance.
#include <algorithm>

#include "args.h"
#include "vec.h"

namespace sod {
namespace {

struct Choice {
  float temperature, topP, uniform;
  int32_t topK;
};

// The first index at which the running sum of weights passes `goal`.
template <typename Weight>
i64 passing(i64 n, double goal, Weight&& weight) {
  double sum = 0;
  i64 last = 0;
  for (i64 i = 0; i < n; i++) {
    const float w = weight(i);
    if (w <= 0) continue;
    last = i;
    sum += w;
    if (sum > goal) break;
  }
  return last;
}

// Weights e^((l − best) / T) in `w`; what top-k and top-p cut never comes.
i64 draw(const float* w, i64 vocab, const Choice& choice) {
  double total = 0;
  for (i64 j = 0; j < vocab; j++) total += w[j];
  const bool whole = choice.topP >= 1 && (choice.topK <= 0 || choice.topK >= vocab);
  if (whole) return passing(vocab, choice.uniform * total, [&](i64 j) { return w[j]; });

  std::vector<int32_t> heap(vocab);
  for (i64 j = 0; j < vocab; j++) heap[j] = j;
  const auto rarer = [&](int32_t a, int32_t b) { return w[a] != w[b] ? w[a] < w[b] : a > b; };
  std::make_heap(heap.begin(), heap.end(), rarer);
  std::vector<int32_t> kept;
  const size_t most = choice.topK > 0 ? choice.topK : vocab;
  double mass = 0;
  while (!heap.empty() && kept.size() < most && (kept.empty() || choice.topP >= 1 || mass < choice.topP * total)) {
    std::pop_heap(heap.begin(), heap.end(), rarer);
    kept.push_back(heap.back());
    mass += w[heap.back()];
    heap.pop_back();
  }
  return kept[passing(kept.size(), choice.uniform * mass, [&](i64 j) { return w[kept[j]]; })];
}

// sample(tokens [m] i32, logprobs [m], logits [m, vocab], temperatures [m], topPs [m], topKs [m] i32, uniforms [m]):
// temperature 0 is greedy; logprobs are those of the untempered distribution.
Napi::Value sample(Args& args) {
  Dim m("m"), vocab("vocab");
  Tensor& tokens = args.tensor("tokens", {DType::i32}, {&m});
  Tensor& logprobs = args.tensor("logprobs", {DType::f32}, {&m});
  Tensor& logits = args.tensor("logits", {DType::f32}, {&m, &vocab});
  Tensor& temperatures = args.tensor("temperatures", {DType::f32}, {&m});
  Tensor& topPs = args.tensor("topPs", {DType::f32}, {&m});
  Tensor& topKs = args.tensor("topKs", {DType::i32}, {&m});
  Tensor& uniforms = args.tensor("uniforms", {DType::f32}, {&m});
  args.require(vocab >= 1, "logits", "is empty");
  parallelFor(m, vocab * 8, [&](i64 i) {
    const float* l = logits.as<float>() + i * vocab;
    const Choice choice{temperatures.as<float>()[i], topPs.as<float>()[i], uniforms.as<float>()[i], topKs.as<int32_t>()[i]};
    v16 highest = all(-INFINITY), total = {};
    for (i64 j = 0; j < vocab; j += 16) highest = maximum(highest, firstOf(load(l + j, vocab - j), vocab - j, -INFINITY));
    const float best = maximum(highest);
    for (i64 j = 0; j < vocab; j += 16) total += firstOf(fastExp(load(l + j, vocab - j) - best), vocab - j, 0);
    i64 token = 0;
    if (choice.temperature <= 0) {
      while (token + 1 < vocab && !(l[token] >= best)) token++;
    } else {
      thread_local std::vector<float> weights;
      weights.resize(vocab);
      float* w = weights.data();
      const float inverse = 1 / choice.temperature;
      for (i64 j = 0; j < vocab; j += 16) {
        const v16 z = (load(l + j, vocab - j) - best) * inverse;
        store(w + j, z < -80.0f ? v16{} : fastExp(z), vocab - j);
      }
      token = draw(w, vocab, choice);
    }
    tokens.as<int32_t>()[i] = token;
    logprobs.as<float>()[i] = l[token] - best - std::log(sum(total));
  });
  return args.info().Env().Undefined();
}

}  // namespace

void exportSampling(Napi::Env env, Napi::Object exports) { exportKernel<sample>(env, exports, "sample"); }

}  // namespace sod
