// The LM head where it is wanted: log-probabilities and entropies of given targets at given rows, block by block of rows and
// of the vocabulary, so that fp32 logits of a whole pack are never in memory. For a backward pass the exponentials are kept, in
// the activations' precision, and become the logits' gradient in place.
#include "args.h"
#include "threads.h"
#include "vec.h"

namespace sod {
namespace {

constexpr i64 rowsPerBlock = 512;

// The wanted rows of x: [m, h].
Tensor gather(const Tensor& x, const Tensor& rows, i64 m, i64 h) {
  Tensor to = makeTensor(x.dtype, {m, h});
  const size_t bytes = size_t(h) * bytesOf(x.dtype);
  parallelFor(m, h, [&](i64 i) { std::memcpy(to.bytes + i * bytes, x.bytes + rows.as<int32_t>()[i] * bytes, bytes); });
  return to;
}

Rows rowsFrom(const Tensor& x, i64 row) { return {x.bytes + size_t(row * x.shape[1]) * bytesOf(x.dtype), x.shape[1]}; }

i64 widest(const PackedWeight& w) { return std::min(w.chunkRows, w.rows); }

// Where what is kept of a block of rows and a chunk of the vocabulary lies: products take it as a dense matrix.
char* keptOf(const Tensor& kept, i64 first, i64 count, const PackedWeight::Chunk& chunk) {
  return kept.bytes + size_t(first * kept.shape[1] + count * chunk.firstRow) * bytesOf(kept.dtype);
}

// A row's softmax as far as it is summed up.
struct Running {
  float best = -INFINITY, sum = 0, weighted = 0;  // maximum, Σ e^(l−best), Σ (l−best)·e^(l−best)
  float target = 0;                               // the target's logit

  // Takes in `count` logits and gives their e^(l−best) to `keep`.
  template <typename Keep>
  void add(const float* l, i64 count, Keep&& keep) {
    const float old = best;
    vec highest = all(old), sums = {}, weights = {};
    for (i64 j = 0; j < count; j += vecSize) highest = maximum(highest, firstOf(load(l + j, count - j), count - j, -INFINITY));
    best = maximum(highest);
    for (i64 j = 0; j < count; j += vecSize) {
      const vec distance = load(l + j, count - j) - best, e = firstOf(fastExp(distance), count - j, 0);
      sums += e;
      weights += e * distance;
      keep(j, e);
    }
    if (sum > 0) {
      const float shrink = fastExp(old - best);
      weighted = (weighted + (old - best) * sum) * shrink;
      sum *= shrink;
    }
    sum += sod::sum(sums);
    weighted += sod::sum(weights);
  }
};

// lmHead(logprobs [m], entropies [m], kept [m, vocab] | null, scales [m, chunks] | null, x [n, h], rows [m], targets [m],
//        w packed forward): softmax = kept · scale of its row and chunk
Napi::Value lmHead(Args& args) {
  Dim m("m"), n("n"), h("h"), vocab("vocab"), chunks("chunks");
  Tensor& logprobs = args.tensor("logprobs", {DType::f32}, {&m});
  Tensor& entropies = args.tensor("entropies", {DType::f32}, {&m});
  Tensor* kept = args.optionalTensor("kept", {DType::f32, DType::bf16}, {&m, &vocab});
  Tensor* scales = args.optionalTensor("scales", {DType::f32}, {&m, &chunks});
  Tensor& x = args.tensor("x", {DType::f32, DType::bf16}, {&n, &h});
  Tensor& rows = args.tensor("rows", {DType::i32}, {&m});
  Tensor& targets = args.tensor("targets", {DType::i32}, {&m});
  PackedWeight& w = args.packed("w", Direction::forward);
  args.require(w.columns == h && w.dtype == x.dtype, "w", "does not fit x");
  args.require(!kept == !scales, "scales", "go with kept");
  args.require(!kept || (kept->dtype == x.dtype && vocab == w.rows && chunks == i64(w.chunks.size())), "kept", "does not fit x and w");
  args.within("rows", rows, 0, n);
  args.within("targets", targets, 0, w.rows);
  const i64 block = std::min<i64>(rowsPerBlock, std::max<i64>(m, 1));
  Tensor gathered = gather(x, rows, m, h);
  Tensor logits = makeTensor(DType::f32, {block, widest(w)});
  std::vector<Running> running(m);
  for (size_t c = 0; c < w.chunks.size(); c++) {
    const PackedWeight::Chunk& chunk = w.chunks[c];
    const Panels panels = panelsOf(w, chunk);
    for (i64 first = 0; first < m; first += block) {
      const i64 count = std::min(block, m - first);
      multiplyPacked(panels, rowsFrom(gathered, first), count, {logits.bytes, chunk.rows}, DType::f32, false);
      withType(x.dtype, [&](auto zero) {
        using T = decltype(zero);
        T* to = kept ? reinterpret_cast<T*>(keptOf(*kept, first, count, chunk)) : nullptr;
        parallelFor(count, chunk.rows * 8, [&](i64 i) {
          const float* l = logits.as<float>() + i * chunk.rows;
          Running& row = running[first + i];
          const i64 target = targets.as<int32_t>()[first + i] - chunk.firstRow;
          if (target >= 0 && target < chunk.rows) row.target = l[target];
          if (kept) {
            row.add(l, chunk.rows, [&](i64 j, vec e) { store(to + i * chunk.rows + j, e, chunk.rows - j); });
            scales->as<float>()[(first + i) * chunks + c] = row.best;
          } else {
            row.add(l, chunk.rows, [](i64, vec) {});
          }
        });
      });
    }
  }
  for (i64 i = 0; i < m; i++) {
    const Running& r = running[i];
    const float logSum = std::log(r.sum);
    logprobs.as<float>()[i] = r.target - r.best - logSum;
    entropies.as<float>()[i] = logSum - r.weighted / r.sum;
    if (scales)
      for (i64 c = 0; c < chunks; c++) {
        float& scale = scales->as<float>()[i * chunks + c];
        scale = fastExp(scale - r.best) / r.sum;
      }
  }
  return args.info().Env().Undefined();
}

// lmHeadBackward(dx [n, h] f32, dw [vocab, h] | null, dlogprobs [m], kept [m, vocab] (overwritten), scales [m, chunks], x, rows, targets,
//                backward, add), with g = dlogprob: dlogits = g·(onehot − softmax); dx[rows] += dlogits W, dw (+)= dlogitsᵀ x
Napi::Value lmHeadBackward(Args& args) {
  Dim m("m"), n("n"), h("h"), vocab("vocab"), chunks("chunks");
  Tensor& dx = args.tensor("dx", {DType::f32}, {&n, &h});
  Tensor* dw = args.optionalTensor("dw", {DType::f32}, {&vocab, &h});
  Tensor& dlogprobs = args.tensor("dlogprobs", {DType::f32}, {&m});
  Tensor& kept = args.tensor("kept", {DType::f32, DType::bf16}, {&m, &vocab});
  Tensor& scales = args.tensor("scales", {DType::f32}, {&m, &chunks});
  Tensor& x = args.tensor("x", {kept.dtype}, {&n, &h});
  Tensor& rows = args.tensor("rows", {DType::i32}, {&m});
  Tensor& targets = args.tensor("targets", {DType::i32}, {&m});
  PackedWeight& w = args.packed("backward", Direction::backward);
  const bool add = args.boolean("add");
  args.require(w.rows == vocab && w.columns == h && w.dtype == x.dtype, "backward", "does not fit x and dw");
  args.require(chunks == i64(w.chunks.size()), "backward", "is cut in other chunks than forward");
  args.within("rows", rows, 0, n);
  args.within("targets", targets, 0, vocab);
  const i64 block = std::min<i64>(rowsPerBlock, std::max<i64>(m, 1));
  Tensor gathered = gather(x, rows, m, h);
  Tensor dgathered = makeTensor(DType::f32, {m, h});
  for (size_t c = 0; c < w.chunks.size(); c++) {
    const PackedWeight::Chunk& chunk = w.chunks[c];
    const Panels panels = panelsOf(w, chunk);
    for (i64 first = 0; first < m; first += block) {
      const i64 count = std::min(block, m - first);
      char* slopes = keptOf(kept, first, count, chunk);
      withType(x.dtype, [&](auto zero) {
        using T = decltype(zero);
        parallelFor(count, chunk.rows * 2, [&](i64 i) {
          T* row = reinterpret_cast<T*>(slopes) + i * chunk.rows;
          const float g = dlogprobs.as<float>()[first + i], scale = g * scales.as<float>()[(first + i) * chunks + c];
          const i64 target = targets.as<int32_t>()[first + i] - chunk.firstRow;
          const bool here = target >= 0 && target < chunk.rows;
          const float atTarget = here ? g - toFloat(row[target]) * scale : 0;
          for (i64 j = 0; j < chunk.rows; j += vecSize) store(row + j, -load(row + j, chunk.rows - j) * scale, chunk.rows - j);
          if (here) row[target] = fromFloat<T>(atTarget);
        });
      });
      multiplyPacked(panels, {slopes, chunk.rows}, count, rowsFrom(dgathered, first), DType::f32, c > 0);
      if (!dw) continue;
      float* to = dw->as<float>() + chunk.firstRow * h;
      multiplyOuter(x.dtype, {slopes, chunk.rows}, rowsFrom(gathered, first), to, chunk.rows, h, count, add || first > 0);
    }
  }
  for (i64 i = 0; i < m; i++) {
    float* to = dx.as<float>() + rows.as<int32_t>()[i] * h;
    const float* from = dgathered.as<float>() + i * h;
    for (i64 j = 0; j < h; j++) to[j] += from[j];
  }
  return args.info().Env().Undefined();
}

// lmHeadLogits(logits [m, vocab] f32, x [m, h], w packed forward)
Napi::Value lmHeadLogits(Args& args) {
  Dim m("m"), h("h"), vocab("vocab");
  Tensor& logits = args.tensor("logits", {DType::f32}, {&m, &vocab});
  Tensor& x = args.tensor("x", {DType::f32, DType::bf16}, {&m, &h});
  PackedWeight& w = args.packed("w", Direction::forward);
  args.require(w.columns == h && w.rows == vocab && w.dtype == x.dtype, "w", "does not fit x and logits");
  Tensor part = makeTensor(DType::f32, {m, widest(w)});
  for (auto& chunk : w.chunks) {
    const bool whole = chunk.rows == vocab;
    multiplyPacked(panelsOf(w, chunk), {x.bytes, h}, m, {whole ? logits.bytes : part.bytes, chunk.rows}, DType::f32, false);
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
