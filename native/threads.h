// Loops on several threads. Work is handed out in pieces, and each thread takes the next one when it is free: one that shares its
// core with another program does fewer of them, and nobody waits for more than one piece of it. Which thread does a piece must
// not show in what comes out.
#pragma once
#include <algorithm>

#include "tensor.h"

namespace sod {

// How many threads loops of this thread take at most, and may take from now on. At first as many as there are cores.
int threadCount();
void setThreadCount(int count);

using Piece = void (*)(void* context, i64 index);
void runPieces(i64 pieces, Piece piece, void* context);

// Runs body(i) for i in [0, n), each a piece of its own. What one throws is thrown here when all are over.
template <typename F>
void parallelTasks(i64 n, F&& body) {
  if (n > 1)
    runPieces(n, [](void* context, i64 i) { (*static_cast<std::remove_reference_t<F>*>(context))(i); }, &body);
  else if (n == 1)
    body(0);
}

// Runs body(i) for i in [0, n) in pieces that are worth the handing out. `cost`: elements touched per i.
template <typename F>
void parallelFor(i64 n, i64 cost, F&& body) {
  constexpr i64 leastCost = 4096, piecesPerThread = 8;
  const i64 worthwhile = n * cost / leastCost, pieces = std::min({n, worthwhile, piecesPerThread * threadCount()});
  if (pieces <= 1) {
    for (i64 i = 0; i < n; i++) body(i);
    return;
  }
  parallelTasks(pieces, [&](i64 p) {
    for (i64 i = n * p / pieces; i < n * (p + 1) / pieces; i++) body(i);
  });
}

// Sums over rows are taken band by band, so that they do not depend on who takes which: body(band, first, last) for each.
constexpr i64 bandRows = 64;
inline i64 bandsOf(i64 rows) { return (rows + bandRows - 1) / bandRows; }
template <typename F>
void parallelBands(i64 rows, i64 cost, F&& body) {
  parallelFor(bandsOf(rows), bandRows * cost, [&](i64 band) { body(band, band * bandRows, std::min(rows, (band + 1) * bandRows)); });
}

}  // namespace sod
