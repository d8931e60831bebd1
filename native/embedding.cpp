// Rows of a table by token id.
#include "args.h"
#include "threads.h"
#include "vec.h"

namespace sod {
namespace {

// The same of a table in blocks.
Napi::Value embeddingOfBlocks(Args& args, const BlockMatrix& table, Tensor& y) {
  Dim n(y.shape[0]);
  Tensor& ids = args.tensor("ids", {DType::i32}, {&n});
  args.require(table.columns == y.shape[1], "table", "does not fit y");
  args.within("ids", ids, 0, table.rows);
  withType(table.dtype, [&](auto zero) {
    using T = decltype(zero);
    parallelFor(n, table.columns, [&](i64 i) {
      std::vector<T> row(table.columns);
      table.take(row.data(), ids.as<int32_t>()[i], 1);
      std::transform(row.begin(), row.end(), y.as<float>() + i * table.columns, [](T x) { return toFloat(x); });
    });
  });
  return args.info().Env().Undefined();
}

// embedding(y [n, h] f32, table [vocab, h], ids [n])
Napi::Value embedding(Args& args) {
  Dim n("n"), h("h"), vocab("vocab");
  Tensor& y = args.tensor("y", {DType::f32}, {&n, &h});
  if (const auto blocks = args.optionalBlocks()) return embeddingOfBlocks(args, *blocks, y);
  Tensor& table = args.tensor("table", {DType::f32, DType::bf16}, {&vocab, &h});
  Tensor& ids = args.tensor("ids", {DType::i32}, {&n});
  args.within("ids", ids, 0, vocab);
  const int32_t* id = ids.as<int32_t>();
  withType(table.dtype, [&](auto zero) {
    using T = decltype(zero);
    parallelFor(n, h, [&](i64 i) {
      float* to = y.as<float>() + i * h;
      const T* from = table.as<T>() + i64(id[i]) * h;
      for (i64 j = 0; j < h; j++) to[j] = toFloat(from[j]);
    });
  });
  return args.info().Env().Undefined();
}

// embeddingBackward(dtable [vocab, h], dy [n, h], ids [n]): dtable[ids[i]] += dy[i]
Napi::Value embeddingBackward(Args& args) {
  Dim n("n"), h("h"), vocab("vocab");
  Tensor& dtable = args.tensor("dtable", {DType::f32}, {&vocab, &h});
  Tensor& dy = args.tensor("dy", {DType::f32}, {&n, &h});
  Tensor& ids = args.tensor("ids", {DType::i32}, {&n});
  args.within("ids", ids, 0, vocab);
  const int32_t* id = ids.as<int32_t>();
  // Split by columns: the same id may come often, and every sum keeps its order.
  const i64 width = 16;
  parallelFor((h + width - 1) / width, n * width, [&](i64 block) {
    const i64 first = block * width, last = std::min(h.value, first + width);
    for (i64 i = 0; i < n; i++) {
      float* to = dtable.as<float>() + i64(id[i]) * h;
      const float* from = dy.as<float>() + i * h;
      for (i64 j = first; j < last; j++) to[j] += from[j];
    }
  });
  return args.info().Env().Undefined();
}

}  // namespace

void exportEmbedding(Napi::Env env, Napi::Object exports) {
  exportKernel<embedding>(env, exports, "embedding");
  exportKernel<embeddingBackward>(env, exports, "embeddingBackward");
}

}  // namespace sod
