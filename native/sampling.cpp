// One token from each row of logits, by temperature, top-k and top-p, with a given uniform number as the only chance; and the
// most probable tokens of a row.
#include <algorithm>

#include "args.h"
#include "threads.h"
#include "vec.h"

namespace sod {
namespace {

struct Choice {
  float temperature, topP, uniform;
  int32_t topK;
};

float highest(const float* l, i64 vocab) {
  vec best = all(-INFINITY);
  for (i64 j = 0; j < vocab; j += vecSize) best = maximum(best, firstOf(load(l + j, vocab - j), vocab - j, -INFINITY));
  return maximum(best);
}

// The sum of e^((l − best) · inverse), each of which is kept in `w` where there is one.
float exponentials(const float* l, i64 vocab, float best, float inverse, float* w) {
  vec total = {};
  for (i64 j = 0; j < vocab; j += vecSize) {
    const vec z = (load(l + j, vocab - j) - best) * inverse, e = firstOf(z < -80.0f ? vec{} : fastExp(z), vocab - j, 0);
    total += e;
    if (w) store(w + j, e, vocab - j);
  }
  return sum(total);
}

bool allows(const int32_t* mask, i64 token) { return uint32_t(mask[token / 32]) >> (token % 32) & 1; }

// The first index at which the running sum of `w` passes `goal`, the last with a weight where none does.
i64 passing(const float* w, i64 n, double goal) {
  double before = 0;
  for (i64 first = 0; first < n; first += vecSize) {
    const double behind = before + sum(load(w + first, n - first));
    if (behind > goal) {
      double running = before;
      for (i64 i = first; i < std::min(n, first + vecSize); i++) {
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

// sample(tokens [m] i32, logprobs [m], logits [m, vocab], temperatures [m], topPs [m], topKs [m] i32, uniforms [m],
//        masks [p, words] i32 | null, maskOf [m] i32 | null): temperature 0 is greedy; logprobs are those of the untempered
// distribution, nothing cut. Bit j of row maskOf[i] of `masks` allows token j; a row with maskOf < 0 may draw any.
Napi::Value sample(Args& args) {
  Dim m("m"), vocab("vocab"), p("p"), words("words");
  Tensor& tokens = args.tensor("tokens", {DType::i32}, {&m});
  Tensor& logprobs = args.tensor("logprobs", {DType::f32}, {&m});
  Tensor& logits = args.tensor("logits", {DType::f32}, {&m, &vocab});
  Tensor& temperatures = args.tensor("temperatures", {DType::f32}, {&m});
  Tensor& topPs = args.tensor("topPs", {DType::f32}, {&m});
  Tensor& topKs = args.tensor("topKs", {DType::i32}, {&m});
  Tensor& uniforms = args.tensor("uniforms", {DType::f32}, {&m});
  Tensor* masks = args.optionalTensor("masks", {DType::i32}, {&p, &words});
  Tensor* maskOf = args.optionalTensor("maskOf", {DType::i32}, {&m});
  args.require(vocab >= 1, "logits", "is empty");
  args.require(!masks == !maskOf, "maskOf", "goes with masks");
  if (masks) {
    args.require(words == (vocab + 31) / 32, "masks", "has not a bit for each token");
    args.within("maskOf", *maskOf, -1, p);
  }
  parallelFor(m, vocab * 8, [&](i64 i) {
    const float* l = logits.as<float>() + i * vocab;
    const Choice choice{temperatures.as<float>()[i], topPs.as<float>()[i], uniforms.as<float>()[i], topKs.as<int32_t>()[i]};
    const float best = highest(l, vocab);
    const float* from = l;
    if (masks && maskOf->as<int32_t>()[i] >= 0) {
      thread_local std::vector<float> allowed;
      allowed.resize(vocab);
      const int32_t* mask = masks->as<int32_t>() + maskOf->as<int32_t>()[i] * words;
      for (i64 j = 0; j < vocab; j++) allowed[j] = allows(mask, j) ? l[j] : -INFINITY;
      from = allowed.data();
    }
    const float bestAllowed = from == l ? best : highest(from, vocab);
    i64 token = 0;
    float mass = 0;  // at temperature 1, of all tokens
    if (choice.temperature <= 0) {
      while (token + 1 < vocab && !(from[token] >= bestAllowed)) token++;
    } else {
      thread_local std::vector<float> weights;
      weights.resize(vocab);
      const float tempered = exponentials(from, vocab, bestAllowed, 1 / choice.temperature, weights.data());
      token = draw(weights.data(), vocab, tempered, choice);
      if (choice.temperature == 1 && from == l) mass = tempered;
    }
    if (mass == 0) mass = exponentials(l, vocab, best, 1, nullptr);
    tokens.as<int32_t>()[i] = token;
    logprobs.as<float>()[i] = l[token] - best - std::log(mass);
  });
  return args.info().Env().Undefined();
}

// topTokens(tokens [m, k] i32, logprobs [m, k], targetRanks [m] i32, targetLogprobs [m], logits [m, vocab], targets [m] i32):
// the k most probable tokens of each row, first the best, and where a given one stands: rank 1 is the best.
Napi::Value topTokens(Args& args) {
  Dim m("m"), k("k"), vocab("vocab");
  Tensor& tokens = args.tensor("tokens", {DType::i32}, {&m, &k});
  Tensor& logprobs = args.tensor("logprobs", {DType::f32}, {&m, &k});
  Tensor& targetRanks = args.tensor("targetRanks", {DType::i32}, {&m});
  Tensor& targetLogprobs = args.tensor("targetLogprobs", {DType::f32}, {&m});
  Tensor& logits = args.tensor("logits", {DType::f32}, {&m, &vocab});
  Tensor& targets = args.tensor("targets", {DType::i32}, {&m});
  args.require(k <= vocab, "tokens", "has more columns than there are tokens");
  args.within("targets", targets, 0, vocab);
  parallelFor(m, vocab * 8, [&](i64 i) {
    const float* l = logits.as<float>() + i * vocab;
    const float best = highest(l, vocab);
    const float logMass = std::log(exponentials(l, vocab, best, 1, nullptr));
    std::vector<int32_t> order(vocab);
    for (i64 j = 0; j < vocab; j++) order[j] = j;
    const auto likelier = [&](int32_t a, int32_t b) { return l[a] != l[b] ? l[a] > l[b] : a < b; };
    std::partial_sort(order.begin(), order.begin() + k, order.end(), likelier);
    for (i64 j = 0; j < k; j++) {
      tokens.as<int32_t>()[i * k + j] = order[j];
      logprobs.as<float>()[i * k + j] = l[order[j]] - best - logMass;
    }
    const float target = l[targets.as<int32_t>()[i]];
    targetRanks.as<int32_t>()[i] = 1 + std::count_if(l, l + vocab, [&](float other) { return other > target; });
    targetLogprobs.as<float>()[i] = target - best - logMass;
  });
  return args.info().Env().Undefined();
}

}  // namespace

void exportSampling(Napi::Env env, Napi::Object exports) {
  exportKernel<sample>(env, exports, "sample");
  exportKernel<topTokens>(env, exports, "topTokens");
}

}  // namespace sod
