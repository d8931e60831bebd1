// RMS norm of the residual stream, with the addition of a sublayer's output in the same pass.
#include "args.h"
#include "threads.h"
#include "vec.h"

namespace sod {
namespace {

// rmsNorm(y [n, h], rstd [n] | null, sum [n, h] | null, x [n, h] f32, delta [n, h] | null, w [h], epsilon):
// s = x + delta (written to `sum`), rstd = 1/√(mean s² + ε), y = s · rstd · w
Napi::Value rmsNorm(Args& args) {
  Dim n("n"), h("h");
  Tensor& y = args.tensor("y", {DType::f32, DType::bf16}, {&n, &h});
  Tensor* rstd = args.optionalTensor("rstd", {DType::f32}, {&n});
  Tensor* total = args.optionalTensor("sum", {DType::f32}, {&n, &h});
  Tensor& x = args.tensor("x", {DType::f32}, {&n, &h});
  Tensor* delta = args.optionalTensor("delta", {y.dtype}, {&n, &h});
  Tensor& w = args.tensor("w", {DType::f32}, {&h});
  const float epsilon = args.number("epsilon");
  args.require(!delta == !total, "sum", "goes with delta");
  withType(y.dtype, [&](auto zero) {
    using T = decltype(zero);
    const float* weight = w.as<float>();
    parallelFor(n, h * 4, [&](i64 i) {
      const float* from = x.as<float>() + i * h;
      if (delta) {
        float* to = total->as<float>() + i * h;
        const T* d = delta->as<T>() + i * h;
        for (i64 j = 0; j < h; j += vecSize) store(to + j, load(from + j, h - j) + load(d + j, h - j), h - j);
        from = to;
      }
      vec squares = {};
      for (i64 j = 0; j < h; j += vecSize) squares += load(from + j, h - j) * load(from + j, h - j);
      const float r = 1.0f / std::sqrt(sum(squares) / h + epsilon);
      if (rstd) rstd->as<float>()[i] = r;
      T* out = y.as<T>() + i * h;
      for (i64 j = 0; j < h; j += vecSize) store(out + j, load(from + j, h - j) * r * load(weight + j, h - j), h - j);
    });
  });
  return args.info().Env().Undefined();
}

// rmsNormBackward(dx [n, h] f32, dw [h] | null, dy [n, h], x [n, h] f32 (the normed sum), rstd [n], w [h]):
// dx += rstd · (w·dy − x̂ · mean(w·dy·x̂)) with x̂ = x · rstd; dw += Σ dy·x̂
Napi::Value rmsNormBackward(Args& args) {
  Dim n("n"), h("h");
  Tensor& dx = args.tensor("dx", {DType::f32}, {&n, &h});
  Tensor* dw = args.optionalTensor("dw", {DType::f32}, {&h});
  Tensor& dy = args.tensor("dy", {DType::f32, DType::bf16}, {&n, &h});
  Tensor& x = args.tensor("x", {DType::f32}, {&n, &h});
  Tensor& rstd = args.tensor("rstd", {DType::f32}, {&n});
  Tensor& w = args.tensor("w", {DType::f32}, {&h});
  const float* weight = w.as<float>();
  Tensor partial = makeTensor(DType::f32, {bandsOf(n), h});
  std::memset(partial.bytes, 0, partial.size() * 4);
  withType(dy.dtype, [&](auto zero) {
    using T = decltype(zero);
    parallelBands(n, h * 4, [&](i64 band, i64 first, i64 last) {
      float* sums = partial.as<float>() + band * h;
      for (i64 i = first; i < last; i++) {
        const T* g = dy.as<T>() + i * h;
        const float* in = x.as<float>() + i * h;
        float* out = dx.as<float>() + i * h;
        const float r = rstd.as<float>()[i];
        vec dot = {};
        for (i64 j = 0; j < h; j += vecSize) dot += load(g + j, h - j) * load(weight + j, h - j) * load(in + j, h - j);
        const float mean = sum(dot) * r * r / h;
        for (i64 j = 0; j < h; j += vecSize) {
          const vec gradient = load(g + j, h - j), value = load(in + j, h - j);
          store(out + j, load(out + j, h - j) + r * (gradient * load(weight + j, h - j) - value * mean), h - j);
          if (dw) store(sums + j, load(sums + j, h - j) + gradient * value * r, h - j);
        }
      }
    });
  });
  if (!dw) return args.info().Env().Undefined();
  float* total = dw->as<float>();
  for (i64 band = 0; band < bandsOf(n); band++)
    for (i64 j = 0; j < h; j++) total[j] += partial.as<float>()[band * h + j];
  return args.info().Env().Undefined();
}

}  // namespace

void exportNorm(Napi::Env env, Napi::Object exports) {
  exportKernel<rmsNorm>(env, exports, "rmsNorm");
  exportKernel<rmsNormBackward>(env, exports, "rmsNormBackward");
}

}  // namespace sod
