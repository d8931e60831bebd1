// Products on some columns of wider matrices: the low-rank parts of fused linear maps.
#include "args.h"
#include "threads.h"
#include "vec.h"

namespace sod {
namespace {

// `count` columns of a matrix from `first` on.
Rows columnsOf(const Args& args, const char* argument, const Tensor& matrix, i64 first, i64 count) {
  const i64 width = matrix.shape[1];
  args.require(first + count <= width, argument, [&] { return "has " + std::to_string(width) + " columns, no " + std::to_string(count) + " from " + std::to_string(first); });
  return {matrix.bytes + first * bytesOf(matrix.dtype), width};
}

// columnsProduct(y [n, …], yColumn, x [n, …], xColumn, packed, add): y (+)= x Wᵀ, or x W where it is packed for backward, in as many
// columns of x and y, from these on, as W takes and gives; x in the weight's dtype
Napi::Value columnsProduct(Args& args) {
  Dim n("n"), yWidth("columns"), xWidth("columns");
  Tensor& y = args.tensor("y", {DType::f32, DType::bf16}, {&n, &yWidth});
  const i64 yColumn = args.integer("yColumn", 0);
  Tensor& x = args.tensor("x", {DType::f32, DType::bf16}, {&n, &xWidth});
  const i64 xColumn = args.integer("xColumn", 0);
  PackedWeight& w = args.packed("w");
  const bool add = args.boolean("add"), forward = w.direction == Direction::forward;
  args.require(w.chunks.size() == 1, "w", "is packed in chunks");
  args.require(x.dtype == w.dtype, "x", [&] { return std::string("has dtype ") + name(x.dtype) + ", the weight " + name(w.dtype); });
  const Rows to = columnsOf(args, "y", y, yColumn, forward ? w.rows : w.columns);
  const Rows from = columnsOf(args, "x", x, xColumn, forward ? w.columns : w.rows);
  multiplyPacked(panelsOf(w, w.chunks[0]), from, n, to, y.dtype, add);
  return args.info().Env().Undefined();
}

// columnsWeightGrad(dw [rows, columns] f32, dy [n, …], dyColumn, x [n, …], xColumn, add): dw (+)= dyᵀ x, of the columns from these on
Napi::Value columnsWeightGrad(Args& args) {
  Dim n("n"), rows("rows"), columns("columns"), yWidth("columns"), xWidth("columns");
  Tensor& dw = args.tensor("dw", {DType::f32}, {&rows, &columns});
  Tensor& dy = args.tensor("dy", {DType::f32, DType::bf16}, {&n, &yWidth});
  const i64 dyColumn = args.integer("dyColumn", 0);
  Tensor& x = args.tensor("x", {dy.dtype}, {&n, &xWidth});
  const i64 xColumn = args.integer("xColumn", 0);
  const Rows left = columnsOf(args, "dy", dy, dyColumn, rows), right = columnsOf(args, "x", x, xColumn, columns);
  multiplyOuter(dy.dtype, left, right, dw.as<float>(), rows, columns, n, args.boolean("add"));
  return args.info().Env().Undefined();
}

// scale(x [n, width], factor): x ·= factor
Napi::Value scale(Args& args) {
  Dim n("n"), width("width");
  Tensor& x = args.tensor("x", {DType::f32, DType::bf16}, {&n, &width});
  const float factor = args.number("factor");
  constexpr i64 block = 4096;
  const i64 size = x.size();
  withType(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    T* all = x.as<T>();
    parallelFor((size + block - 1) / block, block, [&](i64 b) {
      const i64 end = std::min(size, (b + 1) * block);
      for (i64 j = b * block; j < end; j += vecSize) store(all + j, load(all + j, end - j) * factor, end - j);
    });
  });
  return args.info().Env().Undefined();
}

}  // namespace

void exportColumns(Napi::Env env, Napi::Object exports) {
  exportKernel<columnsProduct>(env, exports, "columnsProduct");
  exportKernel<columnsWeightGrad>(env, exports, "columnsWeightGrad");
  exportKernel<scale>(env, exports, "scale");
}

}  // namespace sod
