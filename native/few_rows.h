// Products with few rows, as in decoding for one user: they are as fast as the weights come from memory, and oneDNN does not
// read them at full speed. These read oneDNN's packed weights themselves where it packed them in panels.
#pragma once
#include "panels.h"

namespace sod {

constexpr i64 fewRows = 6;

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
