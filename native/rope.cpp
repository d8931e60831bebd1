// RMS norm of each query and key head where a model has them (Qwen3), then rotary position embedding: halves of the head rotated against each other.
#include "args.h"
#include "threads.h"
#include "vec.h"

namespace sod {
namespace {

// What forward and backward both take behind their own tensors.
struct RopeArgs {
  Dim n{"n"}, width{"width"}, normed{"normed"}, d{"d"}, positions{"positions"};
  const float *wq, *wk, *table;  // wq and wk null: no norm
  const int32_t* at;
  i64 heads, kvHeads;
  float epsilon;

  void read(Args& args) {
    const Tensor* query = args.optionalTensor("wq", {DType::f32}, {&d});
    const Tensor* key = args.optionalTensor("wk", {DType::f32}, {&d});
    args.require(!query == !key, query ? "wk" : "wq", query ? "goes with wq" : "goes with wk");
    wq = query ? query->as<float>() : nullptr;
    wk = key ? key->as<float>() : nullptr;
    table = args.tensor("table", {DType::f32}, {&positions, &d}).as<float>();
    Tensor& rows = args.tensor("at", {DType::i32}, {&n});
    at = rows.as<int32_t>();
    heads = args.integer("heads", 1);
    kvHeads = args.integer("kvHeads", 1);
    epsilon = args.number("epsilon");
    args.require(d > 0 && d % 2 == 0, "table", "must have rows of even length");
    args.require(width == (heads + 2 * kvHeads) * d, "qkv", [&] { return "is not (heads + 2·kvHeads)·d = " + std::to_string((heads + 2 * kvHeads) * d) + " wide"; });
    args.require(normed == (heads + kvHeads) * d, "y", "is not (heads + kvHeads)·d wide");
    args.within("at", rows, 0, positions);
  }
};

// 1 / the root mean square of a head.
template <typename T>
float inverseNorm(const T* x, i64 d, float epsilon) {
  vec squares = {};
  for (i64 j = 0; j < d; j += vecSize) squares += load(x + j, d - j) * load(x + j, d - j);
  return 1.0f / std::sqrt(sum(squares) / d + epsilon);
}

// qkNormRope(y [n, (heads + kvHeads)·d], qkv [n, (heads + 2·kvHeads)·d], wq [d] | null, wk [d] | null, table [positions, d] (cos | sin halves),
//            at [n], heads, kvHeads, epsilon)
Napi::Value qkNormRope(Args& args) {
  RopeArgs a;
  Tensor& y = args.tensor("y", {DType::f32, DType::bf16}, {&a.n, &a.normed});
  Tensor& qkv = args.tensor("qkv", {y.dtype}, {&a.n, &a.width});
  a.read(args);
  const i64 d = a.d, half = d / 2;
  withType(y.dtype, [&](auto zero) {
    using T = decltype(zero);
    parallelFor(a.n, a.normed * 4, [&](i64 i) {
      const float *cos = a.table + a.at[i] * d, *sin = cos + half;
      for (i64 head = 0; head < a.heads + a.kvHeads; head++) {
        const T* x = qkv.as<T>() + i * a.width + head * d;
        T* out = y.as<T>() + i * a.normed + head * d;
        const float* w = head < a.heads ? a.wq : a.wk;
        const float r = w ? inverseNorm(x, d, a.epsilon) : 1;
        for (i64 j = 0; j < half; j += vecSize) {
          const i64 count = half - j;
          vec p = load(x + j, count), q = load(x + half + j, count);
          if (w) p = p * r * load(w + j, count), q = q * r * load(w + half + j, count);
          const vec c = load(cos + j, count), s = load(sin + j, count);
          store(out + j, p * c - q * s, count);
          store(out + half + j, q * c + p * s, count);
        }
      }
    });
  });
  return args.info().Env().Undefined();
}

// qkNormRopeBackward(dqkv [n, width] (its query and key part is written), dwq [d] | null, dwk [d] | null, dy [n, normed], qkv, wq, wk,
//                    table, at, heads, kvHeads, epsilon)
Napi::Value qkNormRopeBackward(Args& args) {
  RopeArgs a;
  Tensor& dqkv = args.tensor("dqkv", {DType::f32, DType::bf16}, {&a.n, &a.width});
  Tensor* dwq = args.optionalTensor("dwq", {DType::f32}, {&a.d});
  Tensor* dwk = args.optionalTensor("dwk", {DType::f32}, {&a.d});
  Tensor& dy = args.tensor("dy", {dqkv.dtype}, {&a.n, &a.normed});
  Tensor& qkv = args.tensor("qkv", {dqkv.dtype}, {&a.n, &a.width});
  a.read(args);
  args.require(!dwq || a.wq, "dwq", "goes with wq");
  args.require(!dwq == !dwk, "dwk", "goes with dwq");
  const i64 n = a.n, d = a.d, half = d / 2;
  Tensor partial = makeTensor(DType::f32, {bandsOf(n), 3 * d});
  std::memset(partial.bytes, 0, partial.size() * 4);
  withType(dqkv.dtype, [&](auto zero) {
    using T = decltype(zero);
    parallelBands(n, a.normed * 4, [&](i64 band, i64 first, i64 last) {
      float *sumQ = partial.as<float>() + band * 3 * d, *sumK = sumQ + d, *g = sumK + d;
      for (i64 i = first; i < last; i++) {
        const float *cos = a.table + a.at[i] * d, *sin = cos + half;
        for (i64 head = 0; head < a.heads + a.kvHeads; head++) {
          const T* x = qkv.as<T>() + i * a.width + head * d;
          const T* grad = dy.as<T>() + i * a.normed + head * d;
          T* out = dqkv.as<T>() + i * a.width + head * d;
          const float* w = head < a.heads ? a.wq : a.wk;
          float* sums = head < a.heads ? sumQ : sumK;
          for (i64 j = 0; j < half; j += vecSize) {
            const i64 count = half - j;
            const vec p = load(grad + j, count), q = load(grad + half + j, count);
            const vec c = load(cos + j, count), s = load(sin + j, count);
            store(g + j, p * c + q * s, count);
            store(g + half + j, q * c - p * s, count);
          }
          if (!w) {
            for (i64 j = 0; j < d; j += vecSize) store(out + j, load(g + j, d - j), d - j);
            continue;
          }
          vec squares = {}, dot = {};
          for (i64 j = 0; j < d; j += vecSize) {
            const vec v = load(x + j, d - j);
            squares += v * v;
            dot += load(g + j, d - j) * load(w + j, d - j) * v;
          }
          const float r = 1.0f / std::sqrt(sum(squares) / d + a.epsilon), mean = sum(dot) * r * r / d;
          for (i64 j = 0; j < d; j += vecSize) {
            const vec v = load(x + j, d - j), slope = load(g + j, d - j);
            store(out + j, r * (slope * load(w + j, d - j) - v * mean), d - j);
            store(sums + j, load(sums + j, d - j) + slope * v * r, d - j);
          }
        }
      }
    });
  });
  for (i64 band = 0; dwq && band < bandsOf(n); band++)
    for (i64 j = 0; j < d; j++) {
      dwq->as<float>()[j] += partial.as<float>()[band * 3 * d + j];
      dwk->as<float>()[j] += partial.as<float>()[band * 3 * d + d + j];
    }
  return args.info().Env().Undefined();
}

}  // namespace

void exportRope(Napi::Env env, Napi::Object exports) {
  exportKernel<qkNormRope>(env, exports, "qkNormRope");
  exportKernel<qkNormRopeBackward>(env, exports, "qkNormRopeBackward");
}

}  // namespace sod
