// How oneDNN packs the right-hand side W [k, n] of a product for AVX-512: in panels of 64 columns, each a right-hand side as in
// block.h, [k / lanes][64][lanes], one behind the other.
#pragma once
#include <oneapi/dnnl/dnnl.hpp>

#include "block.h"

namespace sod {

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

// Packs W [rows, columns] as the right-hand sides of both its products, x Wᵀ and dy W, in one pass over it. What pads the panels
// is left as it is.
template <typename E>
void packPanels(const float* w, i64 rows, i64 columns, E* forward, i64 forwardStride, E* backward, i64 backwardStride) {
  constexpr i64 size = panelColumns;
  parallelFor((rows + size - 1) / size, size * columns, [&](i64 band) {
    const i64 row = band * size, count = std::min(size, rows - row);
    alignas(64) E part[size * size];
    for (i64 column = 0; column < columns; column += size) {
      const i64 width = std::min(size, columns - column);
      const float* from = w + row * columns + column;
      for (i64 r = 0; r < count; r++) loadRow(part + r * size, from + r * columns, width, size);
      interleaveColumns(forward + band * forwardStride + column * size, part, size, count, width, size);
      interleaveRows(backward + column / size * backwardStride + row * size, from, columns, count, width, paddedToLanes<E>(count), size);
    }
  });
}

}  // namespace sod
