// h = silu(gate) · up, with gate and up side by side in one product's output.
#include "args.h"
#include "threads.h"
#include "vec.h"

namespace sod {
namespace {

// swiglu(y [n, m], gateUp [n, 2m])
Napi::Value swiglu(Args& args) {
  Dim n("n"), m("m");
  Tensor& y = args.tensor("y", {DType::f32, DType::bf16}, {&n, &m});
  Dim twice(2 * m);
  Tensor& x = args.tensor("gateUp", {y.dtype}, {&n, &twice});
  withType(y.dtype, [&](auto zero) {
    using T = decltype(zero);
    parallelFor(n, m * 16, [&](i64 i) {
      const T *gate = x.as<T>() + i * 2 * m, *up = gate + m;
      T* out = y.as<T>() + i * m;
      for (i64 j = 0; j < m; j += vecSize) {
        const vec g = load(gate + j, m - j);
        store(out + j, g / (1.0f + fastExp(-g)) * load(up + j, m - j), m - j);
      }
    });
  });
  return args.info().Env().Undefined();
}

// swigluBackward(dgateUp [n, 2m], dy [n, m], gateUp [n, 2m])
Napi::Value swigluBackward(Args& args) {
  Dim n("n"), twice("2m");
  Tensor& dx = args.tensor("dgateUp", {DType::f32, DType::bf16}, {&n, &twice});
  args.require(twice % 2 == 0, "dgateUp", "has an odd width");
  Dim m(twice / 2);
  Tensor& dy = args.tensor("dy", {dx.dtype}, {&n, &m});
  Tensor& x = args.tensor("gateUp", {dx.dtype}, {&n, &twice});
  withType(dx.dtype, [&](auto zero) {
    using T = decltype(zero);
    parallelFor(n, m * 16, [&](i64 i) {
      const T *gate = x.as<T>() + i * 2 * m, *up = gate + m, *d = dy.as<T>() + i * m;
      T *dgate = dx.as<T>() + i * 2 * m, *dup = dgate + m;
      for (i64 j = 0; j < m; j += vecSize) {
        const vec g = load(gate + j, m - j), u = load(up + j, m - j), grad = load(d + j, m - j);
        const vec sigmoid = 1.0f / (1.0f + fastExp(-g));
        store(dgate + j, grad * u * sigmoid * (1.0f + g * (1.0f - sigmoid)), m - j);
        store(dup + j, grad * g * sigmoid, m - j);
      }
    });
  });
  return args.info().Env().Undefined();
}

}  // namespace

void exportSwiglu(Napi::Env env, Napi::Object exports) {
  exportKernel<swiglu>(env, exports, "swiglu");
  exportKernel<swigluBackward>(env, exports, "swigluBackward");
}

}  // namespace sod
