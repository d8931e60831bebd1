#include "product.h"

#include "block.h"
#include "blocks.h"
#include "threads.h"

namespace sod {
namespace {

// Columns of a panel: those of a tile.
constexpr i64 panelColumns = tileVectors * vecSize;

// What a piece of work covers at most: rows of the left side that stay in the second cache beside the part of a panel that the
// first one holds, and columns.
constexpr i64 blockRows = 96, blockDepth = 1024, blockColumns = 512;

i64 ceilDiv(i64 a, i64 b) { return (a + b - 1) / b; }

// Columns that lie beside each other in the panels of a right-hand side of n: of a narrow one, all.
i64 widthOf(i64 n) { return std::min(panelColumns, padded(n)); }

// How the work is cut, which does not show in what it gives: into several pieces for each thread, but not so small that handing
// out, or bringing the left side into form, takes longer than they do.
struct Pieces {
  i64 rows, panels;  // of a piece
  i64 rowBlocks, columnBlocks;

  Pieces(i64 m, i64 panelCount, i64 k) {
    constexpr i64 piecesPerThread = 8, leastRows = 48, leastColumns = 128, leastWork = 1 << 19, rowsOfMemory = 16;
    const i64 wanted = piecesPerThread * threadCount();
    rowBlocks = ceilDiv(m, std::clamp(m / wanted, leastRows, blockRows));
    rows = ceilDiv(ceilDiv(m, rowBlocks), tileRows) * tileRows;
    rowBlocks = ceilDiv(m, rows);
    // Weights that come from memory take as long as some rows.
    const i64 worthwhile = ceilDiv(leastWork, k * panelColumns * (std::min(m, rows) + rowsOfMemory));
    const i64 least = std::max(worthwhile, m > tileRows ? leastColumns / panelColumns : 1);
    panels = std::clamp(std::max(panelCount * rowBlocks / wanted, least), i64(1), blockColumns / panelColumns);
    columnBlocks = ceilDiv(panelCount, panels);
    panels = ceilDiv(panelCount, columnBlocks);
  }
};

// y[m, n] (+)= left · panels, with `yStride` elements from one row of y to the next. takeLeft(block, row, rows, k, depth) gives that
// part of the left side, in `block` if it has to be brought into another form.
template <typename T, typename Y, typename TakeLeft>
void multiply(i64 m, i64 n, i64 k, const T* panels, Y* y, i64 yStride, bool add, TakeLeft&& takeLeft) {
  const i64 depth = paddedToLanes<T>(k), panelCount = ceilDiv(n, panelColumns), panelWidth = widthOf(n);
  const Pieces pieces(m, panelCount, k);
  parallelTasks(pieces.rowBlocks * pieces.columnBlocks, [&](i64 piece) {
    const i64 firstRow = piece % pieces.rowBlocks * pieces.rows, rows = std::min(pieces.rows, m - firstRow);
    const i64 firstPanel = piece / pieces.rowBlocks * pieces.panels, lastPanel = std::min(firstPanel + pieces.panels, panelCount);
    Scratch scratch(blockRows * (blockDepth + blockColumns));
    auto* block = scratch.take<Factor<T>>(blockRows * blockDepth);
    // Where sums wait for the next part of k, unless that is where they end up.
    float* part = scratch.take(blockRows * blockColumns);
    for (i64 at = 0; at < depth; at += blockDepth) {
      const i64 count = std::min(blockDepth, depth - at);
      const bool last = at + count == depth;
      const auto left = takeLeft(block, firstRow, rows, at, count);
      const auto columns = [&](i64 panel, auto vectors) {
        const i64 column = panel * panelColumns, width = std::min<i64>(vectors * vecSize, n - column);
        const bool whole = width == vectors * vecSize;
        const RightSide<T> right{panels + (panel * depth + at) * panelWidth, panelWidth, depth * panelWidth};
        coverRows(rows, [&](i64 r, auto height) {
          if constexpr (height * vectors <= tileRows * tileVectors) {
            const LeftSide<Factor<T>> rowsOfTile{left.at(r, 0), left.rowStride, left.depthStride};
            Y* to = y + (firstRow + r) * yStride + column;
            float* sums = part + r * blockColumns + (column - firstPanel * panelColumns);
            i64 stride = blockColumns;
            if constexpr (std::is_same_v<Y, float>)
              if (whole) sums = to, stride = yStride;
            const auto multiplyFrom = [&](const auto* from, i64 fromStride) {
              if (last && whole) return tile<height, vectors>(rowsOfTile, right, count, from, fromStride, to, yStride);
              tile<height, vectors>(rowsOfTile, right, count, from, fromStride, sums, stride);
              if (last)
                for (i64 i = 0; i < height; i++) loadRow(to + i * yStride, sums + i * stride, width, width);
            };
            if (at > 0) return multiplyFrom(sums, stride);
            if (!add) return multiplyFrom(static_cast<const float*>(nullptr), 0);
            if (whole) return multiplyFrom(to, yStride);
            for (i64 i = 0; i < height; i++) loadRow(sums + i * stride, to + i * yStride, width, width);
            multiplyFrom(sums, stride);
          }
        });
      };
      const i64 wholePanels = std::min(lastPanel, n / panelColumns);
      i64 panel = firstPanel;
      // With few rows, the sums of one panel alone would wait for themselves.
      if (rows == 1)
        for (; panel * tileVectors + 8 <= wholePanels * tileVectors; panel += 8 / tileVectors) columns(panel, std::integral_constant<int, 8>());
      if (rows <= tileRows / 2)
        for (; panel + 2 <= wholePanels; panel += 2) columns(panel, std::integral_constant<int, 2 * tileVectors>());
      for (; panel < wholePanels; panel++) columns(panel, std::integral_constant<int, tileVectors>());
      if (panel < lastPanel) withConstant<tileVectors>(ceilDiv(n % panelColumns, vecSize), [&](auto vectors) { columns(panel, vectors); });
    }
  });
}

// Rows of x as they are, where they can be multiplied so; else a copy.
template <typename T>
auto rowsOf(const T* x, i64 stride, i64 k) {
  using L = Factor<T>;
  return [=](L* block, i64 row, i64 rows, i64 at, i64 depth) {
    if constexpr (std::is_same_v<L, T>)
      if (at + depth <= k) return LeftSide<L>{x + row * stride + at, stride, 1};
    for (i64 r = 0; r < rows; r++) loadRow(block + r * blockDepth, x + (row + r) * stride + at, std::min(depth, k - at), depth);
    return LeftSide<L>{block, blockDepth, 1};
  };
}

// Columns of a, which has k rows, as rows.
template <typename T>
auto columnsOf(const T* a, i64 stride, i64 k) {
  using L = Factor<T>;
  return [=](L* block, i64 row, i64 rows, i64 at, i64 depth) {
    interleaveRows(block, a + at * stride + row, stride, std::min(depth, k - at), rows, depth, blockRows);
    return LeftSide<L>{block, lanes<L>, blockRows};
  };
}

// Copies what nobody reads soon past the caches.
template <typename T>
void copyPast(T* to, const T* from, i64 count) {
#if defined(__AVX2__)
  for (i64 i = 0; i < count; i += 32 / i64(sizeof(T))) _mm256_stream_si256((__m256i*)(to + i), _mm256_load_si256((const __m256i*)(from + i)));
#else
  std::memcpy(to, from, count * sizeof(T));
#endif
}

// What a chunk is multiplied to: [k] to [n].
struct Shape {
  i64 k, n;
};
Shape shapeOf(const PackedWeight& packed, const PackedWeight::Chunk& chunk) {
  return packed.direction == Direction::forward ? Shape{packed.columns, chunk.rows} : Shape{chunk.rows, packed.columns};
}

// Packs W [rows, columns] as the right-hand side of x Wᵀ, of dy W or of both, in one pass over it. takeRows(part, row, count) gives
// rows of it: [count][columns].
template <typename T, typename TakeRows>
void packPanels(i64 rows, i64 columns, T* forward, T* backward, TakeRows&& takeRows) {
  constexpr i64 size = panelColumns;
  const i64 forwardWidth = widthOf(rows), backwardWidth = widthOf(columns);
  const i64 forwardPanel = paddedToLanes<T>(columns) * forwardWidth, backwardPanel = paddedToLanes<T>(rows) * backwardWidth;
  parallelFor(ceilDiv(rows, size), size * columns, [&](i64 band) {
    const i64 row = band * size, count = std::min(size, rows - row);
    Scratch scratch(size * columns + 2 * size * size);
    T* part = scratch.take<T>(size * columns);
    T* packed = scratch.take<T>(size * size);
    takeRows(part, row, count);
    for (i64 column = 0; column < columns; column += size) {
      const i64 width = std::min(size, columns - column);
      if (forward) {
        interleaveColumns(packed, part + column, columns, count, width, forwardWidth);
        copyPast(forward + band * forwardPanel + column * forwardWidth, packed, paddedToLanes<T>(width) * forwardWidth);
      }
      if (backward) {
        interleaveRows(packed, part + column, columns, count, width, paddedToLanes<T>(count), backwardWidth);
        copyPast(backward + column / size * backwardPanel + row * backwardWidth, packed, paddedToLanes<T>(count) * backwardWidth);
      }
    }
  });
}

template <typename T, typename W>
auto rowsIn(const W* w, i64 columns) {
  return [=](T* part, i64 row, i64 count) { loadRow(part, w + row * columns, count * columns, count * columns); };
}

// Room for the panels of a chunk, which pack(forward or null, backward or null) fills.
template <typename T, typename Pack>
std::shared_ptr<Storage> filled(const PackedWeight& packed, const PackedWeight::Chunk& chunk, Pack&& pack) {
  const auto [k, n] = shapeOf(packed, chunk);
  auto storage = std::make_shared<Storage>(ceilDiv(n, panelColumns) * widthOf(n) * paddedToLanes<T>(k) * sizeof(T));
  T* panels = static_cast<T*>(storage->data());
  const bool forward = packed.direction == Direction::forward;
  pack(forward ? panels : nullptr, forward ? nullptr : panels);
  return storage;
}

PackedWeight inChunks(Direction direction, DType dtype, i64 rows, i64 columns, i64 chunkRows) {
  PackedWeight packed{direction, dtype, rows, columns, chunkRows, {}, {}, {}};
  for (i64 first = 0; first < rows; first += chunkRows) packed.chunks.push_back({first, std::min(chunkRows, rows - first), {}});
  return packed;
}

}  // namespace

PackedWeight packWeight(const Tensor& w, DType dtype, Direction direction, i64 chunkRows) {
  PackedWeight packed = inChunks(direction, dtype, w.shape[0], w.shape[1], chunkRows);
  withType(dtype, [&](auto zero) {
    using T = decltype(zero);
    withType(w.dtype, [&](auto zero) {
      using W = decltype(zero);
      for (auto& chunk : packed.chunks)
        chunk.panels = filled<T>(packed, chunk, [&](T* forward, T* backward) {
          packPanels(chunk.rows, packed.columns, forward, backward, rowsIn<T>(w.as<W>() + chunk.firstRow * packed.columns, packed.columns));
        });
    });
  });
  return packed;
}

PackedWeight packWeight(std::shared_ptr<const BlockMatrix> w, Direction direction, i64 chunkRows) {
  PackedWeight packed = inChunks(direction, w->dtype, w->rows, w->columns, chunkRows);
  packed.blocks = std::move(w);
  return packed;
}

PackedWeight packBackward(const PackedWeight& forward) {
  PackedWeight packed = inChunks(Direction::backward, forward.dtype, forward.rows, forward.columns, forward.chunkRows);
  if (forward.blocks)
    packed.blocks = forward.blocks;
  else
    packed.forward = std::make_shared<const PackedWeight>(forward);
  return packed;
}

template <typename T>
void takeRows(T* to, const PackedWeight& packed, i64 first, i64 count) {
  if (packed.blocks) return packed.blocks->take(to, first, count);
  const PackedWeight::Chunk& chunk = packed.chunks[first / packed.chunkRows];
  using Pair = Lane<T>;
  const i64 width = widthOf(chunk.rows);
  constexpr i64 step = 16;  // lanes of a panel that the first cache holds for all its columns
  const i64 columns = packed.columns, whole = columns / lanes<T>, depth = paddedToLanes<T>(columns) / lanes<T>;
  for (i64 row = first - chunk.firstRow, end = row + count; row < end;) {
    const i64 panel = row / panelColumns, next = std::min(end, (panel + 1) * panelColumns);
    const Pair* from = static_cast<const Pair*>(chunk.panels->data()) + panel * width * depth;
    for (i64 at = 0; at < depth; at += step)
      for (i64 r = row; r < next; r++)
        for (i64 k = at; k < std::min(depth, at + step); k++) std::memcpy(to + (r - row) * columns + k * lanes<T>, from + k * width + r % panelColumns, k < whole ? sizeof(Pair) : sizeof(T));
    to += (next - row) * columns;
    row = next;
  }
}
template void takeRows(float*, const PackedWeight&, i64, i64);
template void takeRows(bf16*, const PackedWeight&, i64, i64);

void repackWeight(PackedWeight& forward, PackedWeight& backward, const Tensor& w) {
  const i64 columns = forward.columns;
  withType(forward.dtype, [&](auto zero) {
    using T = decltype(zero);
    for (size_t c = 0; c < forward.chunks.size(); c++) {
      const PackedWeight::Chunk &f = forward.chunks[c], &b = backward.chunks[c];
      packPanels(f.rows, columns, static_cast<T*>(f.panels->data()), static_cast<T*>(b.panels->data()), rowsIn<T>(w.as<float>() + f.firstRow * columns, columns));
    }
  });
}

Panels panelsOf(const PackedWeight& packed, const PackedWeight::Chunk& chunk) {
  Panels panels{packed.dtype, shapeOf(packed, chunk).k, shapeOf(packed, chunk).n, chunk.panels};
  if (!panels.storage)
    withType(packed.dtype, [&](auto zero) {
      using T = decltype(zero);
      panels.storage = filled<T>(packed, chunk, [&](T* forward, T* backward) {
        packPanels(chunk.rows, packed.columns, forward, backward,
                   [&](T* part, i64 row, i64 count) {
                     if (packed.blocks) return packed.blocks->take(part, chunk.firstRow + row, count);
                     takeRows(part, *packed.forward, chunk.firstRow + row, count);
                   });
      });
    });
  return panels;
}

void multiplyPacked(const Panels& panels, Rows x, i64 m, Rows y, DType yType, bool accumulate) {
  if (m == 0) return;
  withType(panels.dtype, [&](auto zero) {
    using T = decltype(zero);
    const T* right = static_cast<const T*>(panels.storage->data());
    const auto rows = rowsOf(reinterpret_cast<const T*>(x.bytes), x.stride, panels.k);
    withType(yType, [&](auto zero) {
      using Y = decltype(zero);
      multiply(m, panels.n, panels.k, right, reinterpret_cast<Y*>(y.bytes), y.stride, accumulate, rows);
    });
  });
}

namespace {

// The same by cᵀ (+)= bᵀ a.
void multiplyOuterTurned(DType dtype, Rows a, Rows b, float* c, i64 m, i64 n, i64 k, bool add) {
  Storage storage(m * n * sizeof(float));
  float* turned = static_cast<float*>(storage.data());
  if (add)
    for (i64 i = 0; i < m; i++)
      for (i64 j = 0; j < n; j++) turned[j * m + i] = c[i * n + j];
  multiplyOuter(dtype, b, a, turned, n, m, k, add);
  for (i64 i = 0; i < m; i++)
    for (i64 j = 0; j < n; j++) c[i * n + j] = turned[j * m + i];
}

}  // namespace

void multiplyOuter(DType dtype, Rows a, Rows b, float* c, i64 m, i64 n, i64 k, bool add) {
  if (k == 0 && !add) std::fill_n(c, m * n, 0.0f);
  if (m == 0 || n == 0 || k == 0) return;
  // A narrow right side would leave most registers of a tile empty: as the left one, the same sums fill them.
  if (n < m && n < panelColumns) return multiplyOuterTurned(dtype, a, b, c, m, n, k, add);
  withType(dtype, [&](auto zero) {
    using T = decltype(zero);
    const i64 width = widthOf(n), panelSize = paddedToLanes<T>(k) * width, panelCount = ceilDiv(n, panelColumns);
    Storage storage(panelCount * panelSize * sizeof(T));
    T* panels = static_cast<T*>(storage.data());
    const T* right = reinterpret_cast<const T*>(b.bytes);
    parallelFor(panelCount, panelSize, [&](i64 p) {
      const i64 column = p * panelColumns;
      interleaveRows(panels + p * panelSize, right + column, b.stride, k, std::min(panelColumns, n - column), paddedToLanes<T>(k), width);
    });
    multiply(m, n, k, panels, c, n, add, columnsOf(reinterpret_cast<const T*>(a.bytes), a.stride, k));
  });
}

}  // namespace sod
