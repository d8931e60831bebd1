// Small dense products on blocks that fit the cache, for attention, and the layouts of their operands.
// Rows are 64-byte aligned and padded to whole registers.
#pragma once
#include "tile.h"

namespace sod {

inline i64 padded(i64 n) { return (n + vecSize - 1) / vecSize * vecSize; }

// c[m][n] (+)= a · b with a [m][k] and b interleaved, [k / lanes][ldb][lanes]; n is a multiple of a register, k one of the lanes.
template <bool add, typename L, typename R>
inline void blockProduct(i64 m, i64 n, i64 k, const L* a, i64 lda, const R* b, i64 ldb, float* c, i64 ldc) {
  const auto columns = [&](i64 j, auto vectors) {
    coverRows(m, [&](i64 r, auto rows) {
      float* to = c + r * ldc + j;
      tile<rows, vectors>(LeftSide<L>{a + r * lda, lda, 1}, RightSide<R>{b + j * lanes<R>, ldb, 0}, k, add ? to : nullptr, ldc, to, ldc);
    });
  };
  i64 j = 0;
  for (; j + tileVectors * vecSize <= n; j += tileVectors * vecSize) columns(j, std::integral_constant<int, tileVectors>());
  withConstant<tileVectors - 1>((n - j) / vecSize, [&](auto vectors) { columns(j, vectors); });
}

// Memory of one thread for the length of a task: `need` floats in all, handed out in aligned pieces.
class Scratch {
 public:
  explicit Scratch(i64 need) {
    thread_local std::vector<float> memory;
    if (i64(memory.size()) < need + 16) memory.resize(need + 16);
    at_ = reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(memory.data()) + 63) / 64 * 64);
  }
  template <typename T = float>
  T* take(i64 count) {
    T* piece = reinterpret_cast<T*>(at_);
    at_ += ((count + lanes<T> - 1) / lanes<T> + 15) / 16 * 16;
    return piece;
  }

 private:
  float* at_;
};

// What one 32-bit lane of a right-hand side holds.
template <typename T>
struct Lane {
  T part[lanes<T>];
};

// A register of lanes from a row and the one behind it, as they are.
inline ivec pairsOf(const bf16* row, const bf16* next) {
  halfVec low, high;
  std::memcpy(&low, row, sizeof low);
  std::memcpy(&high, next, sizeof high);
  return widened(low) | (widened(high) << 16);
}

// A register of lanes from a row and, where a lane holds two, the row behind it.
inline void storeLanes(float* to, vec row, vec) { store(to, row); }
inline void storeLanes(bf16* to, vec row, vec next) {
  bf16 low[vecSize], high[vecSize];
  store(low, row);
  store(high, next);
  const ivec pairs = pairsOf(low, high);
  std::memcpy(to, &pairs, sizeof pairs);
}

// to[j] = from[j] for j < n, 0 up to `width`.
template <typename E, typename T>
inline void loadRow(E* to, const T* from, i64 n, i64 width) {
  i64 j = 0;
  for (; j + vecSize <= n; j += vecSize) store(to + j, load(from + j));
  if (j < n) {
    store(to + j, load(from + j, n - j), width - j);
    j += vecSize;
  }
  for (; j < width; j++) to[j] = fromFloat<E>(0.0f);
}

// Stores a register of a left-hand side and gives it as it was stored.
template <typename E>
inline vec storeRounded(E* to, vec x) {
  store(to, x);
  return load(to);
}

// A left-hand side that has to be more exact than bf16 is kept in so many parts: high and low, high + low = x. Their products
// with the same right-hand side are added.
template <typename E>
constexpr i64 parts = lanes<E>;

// A register of elements in their parts, which lie `stride` from each other.
inline void storeParts(float* to, i64, vec x) { store(to, x); }
inline void storeParts(bf16* to, i64 stride, vec x) { store(to + stride, x - storeRounded(to, x)); }

// Rows [count][n] as the right-hand side of a product over them: to(r, j) = from[r][j], 0 up to `width` columns and `depth` rows.
template <typename E, typename T>
inline void interleaveRows(E* to, const T* from, i64 stride, i64 count, i64 n, i64 depth, i64 width) {
  constexpr i64 ahead = 32;  // rows that lie far apart do not come by themselves
  for (i64 r = 0; r < depth; r += lanes<E>) {
    for (i64 row = r + ahead; row < std::min(r + ahead + lanes<E>, count); row++)
      for (i64 j = 0; j < n; j += 64 / i64(sizeof(T))) __builtin_prefetch(from + row * stride + j);
    i64 j = 0;
    if constexpr (std::is_same_v<E, bf16> && std::is_same_v<T, bf16>)
      for (; r + 1 < count && j + vecSize <= n; j += vecSize) {
        const ivec pairs = pairsOf(from + r * stride + j, from + (r + 1) * stride + j);
        std::memcpy(to + r * width + j * 2, &pairs, sizeof pairs);
      }
    for (; j < width; j += vecSize) {
      const auto part = [&](i64 row) { return row < count && j < n ? load(from + row * stride + j, n - j) : vec{}; };
      storeLanes(to + r * width + j * lanes<E>, part(r), part(r + lanes<E> - 1));
    }
  }
}

// The lanes of `a` and, behind them, of `b` that `from` names.
inline ivec shuffle(ivec a, ivec b, ivec from) {
#if defined(__clang__)
  ivec x;
#pragma GCC unroll 16
  for (int j = 0; j < vecSize; j++) x[j] = from[j] < vecSize ? a[from[j]] : b[from[j] - vecSize];
  return x;
#else
  return __builtin_shuffle(a, b, from);
#endif
}

// Makes rows of lanes columns: one bit of the two indices changes places at a time.
template <int bit = vecSize / 2>
inline void transposeLanes(ivec (&rows)[vecSize]) {
  ivec low, high;
  for (int j = 0; j < vecSize; j++) {
    low[j] = j & bit ? vecSize + j - bit : j;
    high[j] = j & bit ? vecSize + j : j + bit;
  }
#pragma GCC unroll 16
  for (int i = 0; i < vecSize; i++) {
    if (i & bit) continue;
    const ivec a = rows[i], b = rows[i + bit];
    rows[i] = shuffle(a, b, low);
    rows[i + bit] = shuffle(a, b, high);
  }
  if constexpr (bit > 1) transposeLanes<bit / 2>(rows);
}

// A register of lanes of a row.
template <typename E, typename T>
inline ivec loadLanes(const T* from) {
  ivec x;
  if constexpr (std::is_same_v<E, T>)
    std::memcpy(&x, from, sizeof x);
  else
    x = (ivec)load(from);
  return x;
}

// The same rows as the right-hand side of a product over their columns: to(j, r) = from[r][j], 0 up to `width` rows.
template <typename E, typename T>
inline void interleaveColumns(E* to, const T* from, i64 stride, i64 count, i64 n, i64 width) {
  constexpr i64 step = vecSize * lanes<E>;
  Lane<E>* columns = reinterpret_cast<Lane<E>*>(to);
  const i64 wholeRows = count / vecSize * vecSize, wholeColumns = n / step * step;
  for (i64 r = 0; r < wholeRows; r += vecSize)
    for (i64 j = 0; j < wholeColumns; j += step) {
      ivec block[vecSize];
#pragma GCC unroll 16
      for (i64 i = 0; i < vecSize; i++) block[i] = loadLanes<E>(from + (r + i) * stride + j);
      transposeLanes(block);
#pragma GCC unroll 16
      for (i64 i = 0; i < vecSize; i++) std::memcpy(columns + (j / lanes<E> + i) * width + r, &block[i], sizeof block[i]);
    }
  for (i64 r = 0; r < count; r++)
    for (i64 j = r < wholeRows ? wholeColumns : 0; j < n; j += lanes<E>) {
      Lane<E> lane;
      for (i64 part = 0; part < lanes<E>; part++) lane.part[part] = fromFloat<E>(j + part < n ? toFloat(from[r * stride + j + part]) : 0.0f);
      columns[j / lanes<E> * width + r] = lane;
    }
  for (i64 j = 0; j < paddedToLanes<E>(n) / lanes<E>; j++)
    for (i64 r = count; r < width; r++) columns[j * width + r] = {};
}

// to[j][r] = from[r][j] for `count` rows, 0 up to `width`, which is a multiple of the lanes.
template <typename E>
inline void transpose(E* to, const E* from, i64 stride, i64 count, i64 n, i64 width) {
  constexpr i64 step = vecSize * lanes<E>;
  const i64 wholeRows = count / step * step, wholeColumns = n / vecSize * vecSize;
  for (i64 r = 0; r < wholeRows; r += step)
    for (i64 j = 0; j < wholeColumns; j += vecSize) {
      ivec block[vecSize];
#pragma GCC unroll 16
      for (i64 i = 0; i < vecSize; i++) {
        const E* row = from + (r + i * lanes<E>) * stride + j;
        storeLanes(reinterpret_cast<E*>(&block[i]), load(row), load(row + stride * (lanes<E> - 1)));
      }
      transposeLanes(block);
#pragma GCC unroll 16
      for (i64 i = 0; i < vecSize; i++) std::memcpy(to + (j + i) * width + r, &block[i], sizeof block[i]);
    }
  for (i64 r = 0; r < width; r += lanes<E>)
    for (i64 j = r < wholeRows ? wholeColumns : 0; j < n; j++) {
      Lane<E> lane;
      for (i64 part = 0; part < lanes<E>; part++) lane.part[part] = r + part < count ? from[(r + part) * stride + j] : fromFloat<E>(0.0f);
      std::memcpy(to + j * width + r, &lane, sizeof lane);
    }
}

}  // namespace sod
