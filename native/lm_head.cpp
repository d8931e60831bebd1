// The LM head where it is wanted: log-probabilities and entropies of given targets at given rows, block by block of rows and
// of the vocabulary, so that the logits of a whole pack are never in memory. The backward pass makes the logits again.
#include "args.h"
#include "vec.h"

namespace sod {
namespace {

constexpr i64 rowsPerBlock = 512;

// Rows `first`… of the wanted ones, gathered: [rows, h].
void gather(char* to, const Tensor& x, const int32_t* rows, i64 first, i64 count, i64 h) {
  const size_t bytes = size_t(h) * bytesOf(x.dtype);
  parallelFor(count, h, [&](i64 i) { std::memcpy(to + i * bytes, x.bytes + rows[first + i] * bytes, bytes); });
}

i64 widest(const PackedWeight& w) { return std::min(w.chunkRows, w.rows); }

// lmHead(logprobs [m], entropies [m], lse [m], x [n, h], rows [m], targets [m], w packed forward)
Napi::Value lmHead(Args& args) {
  Dim m("m"), n("n"), h("h");
  Tensor& logprobs = args.tensor("logprobs", {DType::f32}, {&m});
  Tensor& entropies = args.tensor("entropies", {DType::f32}, {&m});
  Tensor& lse = args.tensor("lse", {DType::f32}, {&m});
  Tensor& x = args.tensor("x", {DType::f32, DType::bf16}, {&n, &h});
  Tensor& rows = args.tensor("rows", {DType::i32}, {&m});
  Tensor& targets = args.tensor("targets", {DType::i32}, {&m});
  PackedWeight& w = args.packed("w", Direction::forward);
  args.require(w.columns == h && w.dtype == x.dtype, "w", "does not fit x");
  args.within("rows", rows, 0, n);
  args.within("targets", targets, 0, w.rows);
  const i64 block = std::min<i64>(rowsPerBlock, std::max<i64>(m, 1)), width = widest(w);
  Tensor gathered = makeTensor(x.dtype, {block, h});
  Tensor logits = makeTensor(DType::f32, {block, width});
  Tensor state = makeTensor(DType::f32, {block, 4});  // running maximum, Σ e^(l−max), Σ l·e^(l−max), the target's logit
  for (i64 first = 0; first < m; first += block) {
    const i64 count = std::min(block, m - first);
    gather(gathered.bytes, x, rows.as<int32_t>(), first, count, h);
    for (i64 i = 0; i < count; i++) {
      float* s = state.as<float>() + i * 4;
      s[0] = -INFINITY;
      s[1] = s[2] = s[3] = 0;
    }
    for (auto& chunk : w.chunks) {
      multiplyPacked(w, chunk, gathered.bytes, count, logits.bytes, DType::f32, false);
      parallelFor(count, chunk.rows * 8, [&](i64 i) {
        const float* l = logits.as<float>() + i * chunk.rows;
        float* s = state.as<float>() + i * 4;
        const i64 target = targets.as<int32_t>()[first + i] - chunk.firstRow;
        if (target >= 0 && target < chunk.rows) s[3] = l[target];
        float best = s[0];
#pragma omp simd reduction(max : best)
        for (i64 j = 0; j < chunk.rows; j++) best = std::max(best, l[j]);
        float sum = 0, weighted = 0;
#pragma omp simd reduction(+ : sum, weighted)
        for (i64 j = 0; j < chunk.rows; j++) {
          const float e = fastExp(l[j] - best);
          sum += e;
          weighted += e * (l[j] - best);
        }
        if (s[0] == -INFINITY) {
          s[1] = sum;
          s[2] = weighted;
        } else {
          const float old = fastExp(s[0] - best);
          s[2] = (s[2] + (s[0] - best) * s[1]) * old + weighted;
          s[1] = s[1] * old + sum;
        }
        s[0] = best;
      });
    }
    for (i64 i = 0; i < count; i++) {
      const float* s = state.as<float>() + i * 4;
      const float logSum = std::log(s[1]);
      lse.as<float>()[first + i] = s[0] + logSum;
      logprobs.as<float>()[first + i] = s[3] - s[0] - logSum;
      entropies.as<float>()[first + i] = logSum - s[2] / s[1];
    }
  }
  return args.info().Env().Undefined();
}

// lmHeadBackward(dx [n, h] f32, dw [vocab, h], dlogprobs [m], lse [m], x, rows, targets, forward, backward):
// with g = dlogprob: dlogits = g·(onehot − softmax); dx[rows] += dlogits W, dw += dlogitsᵀ x
Napi::Value lmHeadBackward(Args& args) {
  Dim m("m"), n("n"), h("h"), vocab("vocab");
  Tensor& dx = args.tensor("dx", {DType::f32}, {&n, &h});
  Tensor& dw = args.tensor("dw", {DType::f32}, {&vocab, &h});
  Tensor& dlogprobs = args.tensor("dlogprobs", {DType::f32}, {&m});
  Tensor& lse = args.tensor("lse", {DType::f32}, {&m});
  Tensor& x = args.tensor("x", {DType::f32, DType::bf16}, {&n, &h});
  Tensor& rows = args.tensor("rows", {DType::i32}, {&m});
  Tensor& targets = args.tensor("targets", {DType::i32}, {&m});
  PackedWeight& forward = args.packed("forward", Direction::forward);
  PackedWeight& backward = args.packed("backward", Direction::backward);
  for (PackedWeight* w : {&forward, &backward})
    args.require(w->rows == vocab && w->columns == h && w->dtype == x.dtype, "forward or backward", "does not fit x and dw");
  args.require(forward.chunkRows == backward.chunkRows, "backward", "is cut in other chunks than forward");
  args.within("rows", rows, 0, n);
  args.within("targets", targets, 0, vocab);
  const i64 block = std::min<i64>(rowsPerBlock, std::max<i64>(m, 1)), width = widest(forward);
  Tensor gathered = makeTensor(x.dtype, {block, h});
  Tensor logits = makeTensor(DType::f32, {block, width});
  Tensor slopes = makeTensor(x.dtype, {block, width});
  Tensor dgathered = makeTensor(DType::f32, {block, h});
  for (i64 first = 0; first < m; first += block) {
    const i64 count = std::min(block, m - first);
    gather(gathered.bytes, x, rows.as<int32_t>(), first, count, h);
    for (size_t c = 0; c < forward.chunks.size(); c++) {
      auto& chunk = forward.chunks[c];
      multiplyPacked(forward, chunk, gathered.bytes, count, logits.bytes, DType::f32, false);
      withType(x.dtype, [&](auto zero) {
        using T = decltype(zero);
        parallelFor(count, chunk.rows * 8, [&](i64 i) {
          const float *l = logits.as<float>() + i * chunk.rows, g = dlogprobs.as<float>()[first + i], norm = lse.as<float>()[first + i];
          T* out = slopes.as<T>() + i * chunk.rows;
          for (i64 j = 0; j < chunk.rows; j++) out[j] = fromFloat<T>(-g * fastExp(l[j] - norm));
          const i64 target = targets.as<int32_t>()[first + i] - chunk.firstRow;
          if (target >= 0 && target < chunk.rows) out[target] = fromFloat<T>(g - g * fastExp(l[target] - norm));
        });
      });
      multiplyPacked(backward, backward.chunks[c], slopes.bytes, count, dgathered.bytes, DType::f32, c > 0);
      accumulateOuter(x.dtype, slopes.bytes, gathered.bytes, dw.as<float>() + chunk.firstRow * h, chunk.rows, h, count);
    }
    for (i64 i = 0; i < count; i++) {
      float* to = dx.as<float>() + rows.as<int32_t>()[first + i] * h;
      const float* from = dgathered.as<float>() + i * h;
      for (i64 j = 0; j < h; j++) to[j] += from[j];
    }
  }
  return args.info().Env().Undefined();
}

// lmHeadLogits(logits [m, vocab] f32, x [n, h], rows [m], w packed forward)
Napi::Value lmHeadLogits(Args& args) {
  Dim m("m"), n("n"), h("h"), vocab("vocab");
  Tensor& logits = args.tensor("logits", {DType::f32}, {&m, &vocab});
  Tensor& x = args.tensor("x", {DType::f32, DType::bf16}, {&n, &h});
  Tensor& rows = args.tensor("rows", {DType::i32}, {&m});
  PackedWeight& w = args.packed("w", Direction::forward);
  args.require(w.columns == h && w.rows == vocab && w.dtype == x.dtype, "w", "does not fit x and logits");
  args.within("rows", rows, 0, n);
  Tensor gathered = makeTensor(x.dtype, {m, h});
  gather(gathered.bytes, x, rows.as<int32_t>(), 0, m, h);
  Tensor part = makeTensor(DType::f32, {m, widest(w)});
  for (auto& chunk : w.chunks) {
    const bool whole = chunk.rows == vocab;
    multiplyPacked(w, chunk, gathered.bytes, m, whole ? logits.bytes : part.bytes, DType::f32, false);
    if (whole) break;
    parallelFor(m, chunk.rows, [&](i64 i) {
      std::memcpy(logits.as<float>() + i * vocab + chunk.firstRow, part.as<float>() + i * chunk.rows, chunk.rows * sizeof(float));
    });
  }
  return args.info().Env().Undefined();
}

}  // namespace

void exportLmHead(Napi::Env env, Napi::Object exports) {
  exportKernel<lmHead>(env, exports, "lmHead");
  exportKernel<lmHeadBackward>(env, exports, "lmHeadBackward");
  exportKernel<lmHeadLogits>(env, exports, "lmHeadLogits");
}

}  // namespace sod
