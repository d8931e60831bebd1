// Rows of a table by token id.
#include "args.h"
#include "block.h"
#include "threads.h"
#include "vec.h"

namespace sod {
namespace {

// y[i] = row ids[i] of a table of T [rows, columns]: take(to, row) gives one.
template <typename T, typename Take>
void look(Args& args, Tensor& y, i64 rows, i64 columns, Take&& take) {
  Dim n(y.shape[0]);
  Tensor& ids = args.tensor("ids", {DType::i32}, {&n});
  args.require(columns == y.shape[1], "table", "does not fit y");
  args.within("ids", ids, 0, rows);
  parallelFor(n, columns, [&](i64 i) {
    Scratch scratch(columns);
    T* row = scratch.take<T>(columns);
    take(row, ids.as<int32_t>()[i]);
    loadRow(y.as<float>() + i * columns, row, columns, columns);
  });
}

// embedding(y [n, h] f32, table [vocab, h], in blocks or packed forward, ids [n])
Napi::Value embedding(Args& args) {
  Dim n("n"), h("h"), vocab("vocab");
  Tensor& y = args.tensor("y", {DType::f32}, {&n, &h});
  const auto blocks = args.optionalBlocks();
  const PackedWeight* packed = blocks ? nullptr : args.optionalPacked();
  Tensor* table = blocks || packed ? nullptr : &args.tensor("table", {DType::f32, DType::bf16}, {&vocab, &h});
  args.require(!packed || packed->direction == Direction::forward, "table", "is packed for the other direction");
  withType(blocks ? blocks->dtype : packed ? packed->dtype : table->dtype, [&](auto zero) {
    using T = decltype(zero);
    if (blocks) return look<T>(args, y, blocks->rows, blocks->columns, [&](T* to, i64 row) { blocks->take(to, row, 1); });
    if (packed) return look<T>(args, y, packed->rows, packed->columns, [&](T* to, i64 row) { takeRows(to, *packed, row, 1); });
    look<T>(args, y, vocab, h, [&](T* to, i64 row) { std::copy_n(table->as<T>() + row * h, h.value, to); });
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
