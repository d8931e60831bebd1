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

// The first index at which the running sum of `w` passes `goal`, the last with a weight where none does.
i64 passing(const float* w, i64 n, double goal) {
  double before = 0;
  for (i64 first = 0; first < n; first += 16) {
    const double behind = before + sum(load(w + first, n - first));
    if (behind > goal) {
      double running = before;
      for (i64 i = first; i < std::min(n, first + 16); i++) {
        running += w[i];
        if (w[i] > 0 && running > goal) return i;
      }
    }
    before = behind;
  }
  i64 last = n - 1;
  while (last > 0 && w[last] <= 0) last--;
  return last;
}

// From weights e^((l − best) / T) and their sum; what top-k and top-p cut never comes.
i64 draw(const float* w, i64 vocab, double total, const Choice& choice) {
  const bool whole = choice.topP >= 1 && (choice.topK <= 0 || choice.topK >= vocab);
  if (whole) return passing(w, vocab, choice.uniform * total);

  std::vector<int32_t> heap(vocab);
  for (i64 j = 0; j < vocab; j++) heap[j] = j;
  const auto rarer = [&](int32_t a, int32_t b) { return w[a] != w[b] ? w[a] < w[b] : a > b; };
  std::make_heap(heap.begin(), heap.end(), rarer);
  std::vector<int32_t> kept;
  std::vector<float> weights;
  const size_t most = choice.topK > 0 ? choice.topK : vocab;
  double mass = 0;
  while (!heap.empty() && kept.size() < most && (kept.empty() || choice.topP >= 1 || mass < choice.topP * total)) {
    std::pop_heap(heap.begin(), heap.end(), rarer);
    kept.push_back(heap.back());
    weights.push_back(w[heap.back()]);
    mass += weights.back();
    heap.pop_back();
  }
  return kept[passing(weights.data(), kept.size(), choice.uniform * mass)];
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
    v16 highest = all(-INFINITY);
    for (i64 j = 0; j < vocab; j += 16) highest = maximum(highest, firstOf(load(l + j, vocab - j), vocab - j, -INFINITY));
    const float best = maximum(highest);
    // Keeps e^((l − best) / T) in `w` where there is one, and gives the sum.
    const auto exponentials = [&](float inverse, float* w) {
      v16 total = {};
      for (i64 j = 0; j < vocab; j += 16) {
        const v16 z = (load(l + j, vocab - j) - best) * inverse, e = firstOf(z < -80.0f ? v16{} : fastExp(z), vocab - j, 0);
        total += e;
        if (w) store(w + j, e, vocab - j);
      }
      return sum(total);
    };
    i64 token = 0;
    float mass;  // at temperature 1
    if (choice.temperature <= 0) {
      while (token + 1 < vocab && !(l[token] >= best)) token++;
      mass = exponentials(1, nullptr);
    } else {
      thread_local std::vector<float> weights;
      weights.resize(vocab);
      const float tempered = exponentials(1 / choice.temperature, weights.data());
      token = draw(weights.data(), vocab, tempered, choice);
      mass = choice.temperature == 1 ? tempered : exponentials(1, nullptr);
    }
    tokens.as<int32_t>()[i] = token;
    logprobs.as<float>()[i] = l[token] - best - std::log(mass);
  });
  return args.info().Env().Undefined();
}

}  // namespace

void exportSampling(Napi::Env env, Napi::Object exports) { exportKernel<sample>(env, exports, "sample"); }

}  // namespace sod
