// Products with few rows, as in decoding for one user: they are as fast as the weights come from memory, and oneDNN does not
// read them at full speed. These read oneDNN's packed weights themselves where it packed them in panels of 64 columns, each a
// right-hand side as in block.h, [k / lanes][64][lanes], one behind the other.
#pragma once
#include <oneapi/dnnl/dnnl.hpp>

#include "block.h"

namespace sod {

constexpr i64 fewRows = 6;
constexpr i64 panelColumns = 64;

// Elements from one panel to the next; 0 where W is packed otherwise, or in numbers that this CPU does not multiply.
inline i64 panelStrideOf(const dnnl::memory::desc& desc, DType dtype) {
  const auto& format = desc.data;
  const auto& blocks = format.format_desc.blocking;
  const i64 lanes = 4 / bytesOf(dtype), stride = format.padded_dims[0] * panelColumns;
  const bool multiplied = dtype == DType::f32 || std::is_same_v<Element<bf16>, bf16>;
  const bool panels = format.format_kind == dnnl_blocked && blocks.inner_nblks == (lanes > 1 ? 3 : 2) && blocks.inner_idxs[0] == 0 &&
                      blocks.inner_blks[0] == 16 && blocks.inner_idxs[1] == 1 && blocks.inner_blks[1] == panelColumns &&
                      (lanes == 1 || (blocks.inner_idxs[2] == 0 && blocks.inner_blks[2] == lanes)) &&
                      blocks.strides[0] == 16 * lanes * panelColumns && blocks.strides[1] == stride;
  return multiplied && panels ? stride : 0;
}

// y[m, n] = x[m, k] · W for m ≤ fewRows. Sums run over `depth` terms at a time, which are then added up: oneDNN's order, so
// that a row's result does not depend on how many there are.
template <typename E, typename T>
void multiplyFewRows(const E* x, i64 m, i64 k, const E* w, i64 panelStride, i64 depth, i64 n, T* y) {
  parallelFor((n + panelColumns - 1) / panelColumns, m * k * panelColumns, [&](i64 panel) {
    alignas(64) float sums[fewRows * panelColumns], part[fewRows * panelColumns];
    const E* columns = w + panel * panelStride;
    tileColumn<4, false>(m, x, k, columns, panelColumns, sums, panelColumns, std::min(depth, k));
    for (i64 at = depth; at < k; at += depth) {
      tileColumn<4, false>(m, x + at, k, columns + at * panelColumns, panelColumns, part, panelColumns, std::min(depth, k - at));
      for (i64 j = 0; j < m * panelColumns; j += 16) store(sums + j, load(sums + j) + load(part + j));
    }
    const i64 first = panel * panelColumns, count = std::min(panelColumns, n - first);
    for (i64 i = 0; i < m; i++)
      for (i64 j = 0; j < count; j += 16) store(y + i * n + first + j, load(sums + i * panelColumns + j), count - j);
  });
}

}  // namespace sod
