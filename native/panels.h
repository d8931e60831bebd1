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

// Copies what nobody reads soon past the caches, whole lines of 64 bytes each.
template <typename E>
void copyPast(E* to, const E* from, i64 count) {
#ifdef __AVX512F__
  for (i64 i = 0; i < count; i += 64 / i64(sizeof(E))) _mm512_stream_si512((__m512i*)(to + i), _mm512_load_si512((const __m512i*)(from + i)));
#else
  std::memcpy(to, from, count * sizeof(E));
#endif
}

// Packs W [rows, columns] as the right-hand sides of both its products, x Wᵀ and dy W, in one pass over it. What pads the panels
// is left as it is.
template <typename E>
void packPanels(const float* w, i64 rows, i64 columns, E* forward, i64 forwardStride, E* backward, i64 backwardStride) {
  constexpr i64 size = panelColumns;
  parallelFor((rows + size - 1) / size, size * columns, [&](i64 band) {
    const i64 row = band * size, count = std::min(size, rows - row);
    Scratch scratch(size * columns);
    E* part = scratch.take<E>(size * columns);
    alignas(64) E packed[size * size];
    loadRow(part, w + row * columns, count * columns, count * columns);
    for (i64 column = 0; column < columns; column += size) {
      const i64 width = std::min(size, columns - column);
      interleaveColumns(packed, part + column, columns, count, width, size);
      copyPast(forward + band * forwardStride + column * size, packed, width * size);
      interleaveRows(packed, part + column, columns, count, width, paddedToLanes<E>(count), size);
      copyPast(backward + column / size * backwardStride + row * size, packed, paddedToLanes<E>(count) * size);
    }
  });
}

}  // namespace sod
