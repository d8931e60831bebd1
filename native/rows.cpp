// Some rows of a matrix, and back.
#include "args.h"
#include "threads.h"
#include "vec.h"

namespace sod {
namespace {

// selectRows(y [m, width], x [n, width], rows [m]): y[i] = x[rows[i]]
Napi::Value selectRows(Args& args) {
  Dim m("m"), n("n"), width("width");
  Tensor& y = args.tensor("y", {DType::f32, DType::bf16}, {&m, &width});
  Tensor& x = args.tensor("x", {y.dtype}, {&n, &width});
  Tensor& rows = args.tensor("rows", {DType::i32}, {&m});
  args.within("rows", rows, 0, n);
  const size_t bytes = size_t(width) * bytesOf(x.dtype);
  parallelFor(m, width, [&](i64 i) { std::memcpy(y.bytes + i * bytes, x.bytes + rows.as<int32_t>()[i] * bytes, bytes); });
  return args.info().Env().Undefined();
}

// selectRowsBackward(dx [n, width], dy [m, width], rows [m], which increase): dx[rows[i]] = dy[i], 0 elsewhere
Napi::Value selectRowsBackward(Args& args) {
  Dim m("m"), n("n"), width("width");
  Tensor& dx = args.tensor("dx", {DType::f32, DType::bf16}, {&n, &width});
  Tensor& dy = args.tensor("dy", {dx.dtype}, {&m, &width});
  Tensor& rows = args.tensor("rows", {DType::i32}, {&m});
  args.within("rows", rows, 0, n);
  const int32_t *first = rows.as<int32_t>(), *last = first + m;
  const size_t bytes = size_t(width) * bytesOf(dx.dtype);
  parallelFor(n, width, [&](i64 i) {
    const int32_t* found = std::lower_bound(first, last, i);
    if (found < last && *found == i)
      std::memcpy(dx.bytes + i * bytes, dy.bytes + (found - first) * bytes, bytes);
    else
      std::memset(dx.bytes + i * bytes, 0, bytes);
  });
  return args.info().Env().Undefined();
}

}  // namespace

void exportRows(Napi::Env env, Napi::Object exports) {
  exportKernel<selectRows>(env, exports, "selectRows");
  exportKernel<selectRowsBackward>(env, exports, "selectRowsBackward");
}

}  // namespace sod
