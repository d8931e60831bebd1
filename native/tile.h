// The micro-kernel of every product, in attention and with weights: a few rows times a few registers of columns, whose sums stay
// in registers. Every sum is one chain over k in order, whatever the tile and the block, so that a row's result does not depend
// on its neighbours.
#pragma once
#include "vec.h"

namespace sod {

// What a left-hand side of type T is multiplied as. Sums are fp32.
#if defined(__AVX512BF16__)
template <typename T>
using Factor = T;
#else
template <typename T>
using Factor = float;
#endif

// Elements in a 32-bit lane. A right-hand side interleaves so many of its rows, [k / lanes][n][lanes]: pairs of bf16 are what
// instructions multiply (vdpbf16ps), and what is cheap to widen elsewhere.
template <typename T>
constexpr i64 lanes = 4 / sizeof(T);

template <typename T>
i64 paddedToLanes(i64 n) {
  return (n + lanes<T> - 1) / lanes<T> * lanes<T>;
}

// A tile's sums, the registers of its right-hand side and one for the left fill the machine's.
constexpr int tileRows = 6, tileVectors = vecRegisters == 32 ? 4 : 2;

// Where the left-hand side's element (row, k) is: base[row · row stride + k · depth stride].
template <typename L>
struct LeftSide {
  const L* base;
  i64 rowStride, depthStride;
  const L* at(i64 row, i64 k) const { return base + row * rowStride + k * depthStride; }
};

template <typename L, typename R>
struct MultiplyAdd;

template <>
struct MultiplyAdd<float, float> {
  template <int rows, int vectors, typename Right>
  static inline __attribute__((always_inline)) void step(vec (&sum)[rows][vectors], const LeftSide<float>& left, i64 k, Right&& right) {
    vec b[vectors];
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++) std::memcpy(&b[v], right(v), sizeof b[v]);
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
      for (int v = 0; v < vectors; v++) sum[r][v] += *left.at(r, k) * b[v];
  }
};

// The even ones of the pairs, then the odd ones: a bf16 is the upper half of its fp32.
template <>
struct MultiplyAdd<float, bf16> {
  template <int rows, int vectors, typename Right>
  static inline __attribute__((always_inline)) void step(vec (&sum)[rows][vectors], const LeftSide<float>& left, i64 k, Right&& right) {
#pragma GCC unroll 2
    for (int odd = 0; odd < 2; odd++) {
      vec b[vectors];
#pragma GCC unroll 8
      for (int v = 0; v < vectors; v++) {
        ivec pairs;
        std::memcpy(&pairs, right(v), sizeof pairs);
        b[v] = (vec)(odd ? pairs & int32_t(0xffff0000) : pairs << 16);
      }
#pragma GCC unroll 8
      for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) sum[r][v] += *left.at(r, k + odd) * b[v];
    }
  }
};

#if defined(__AVX512BF16__)
template <>
struct MultiplyAdd<bf16, bf16> {
  template <int rows, int vectors, typename Right>
  static inline __attribute__((always_inline)) void step(vec (&sum)[rows][vectors], const LeftSide<bf16>& left, i64 k, Right&& right) {
    __m512bh b[vectors];
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++) std::memcpy(&b[v], right(v), sizeof b[v]);
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
      int32_t pair;
      std::memcpy(&pair, left.at(r, k), 4);
#pragma GCC unroll 8
      for (int v = 0; v < vectors; v++) sum[r][v] = (vec)_mm512_dpbf16_ps((__m512)sum[r][v], (__m512bh)_mm512_set1_epi32(pair), b[v]);
    }
  }
};
#endif

// c[rows][vectors of columns] = start + Σ_k left(r, k) · right(k, …) over k in [0, depth), which is a multiple of the lanes.
// right(k, v): the lanes of vector v at k; start(r, v) gives a sum's beginning, end(r, v, sum) takes what it came to.
template <int rows, int vectors, typename L, typename Right, typename Start, typename End>
inline __attribute__((always_inline)) void tile(LeftSide<L> left, Right&& right, i64 depth, Start&& start, End&& end) {
  using R = std::remove_cv_t<std::remove_pointer_t<decltype(right(i64(0), 0))>>;
  vec sum[rows][vectors];
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++) sum[r][v] = start(r, v);
  for (i64 k = 0; k < depth; k += lanes<R>)
    MultiplyAdd<L, R>::template step<rows, vectors>(sum, left, k, [&](int v) { return right(k, v); });
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++) end(r, v, sum[r][v]);
}

// Covers `count` rows with tiles: cover(first, rows), rows a constant of at most tileRows.
template <typename Cover>
inline void coverRows(i64 count, Cover&& cover) {
  i64 r = 0;
  for (; r + tileRows <= count; r += tileRows) cover(r, std::integral_constant<int, tileRows>());
  switch (count - r) {
    case 5: return cover(r, std::integral_constant<int, 5>());
    case 4: return cover(r, std::integral_constant<int, 4>());
    case 3: return cover(r, std::integral_constant<int, 3>());
    case 2: return cover(r, std::integral_constant<int, 2>());
    case 1: return cover(r, std::integral_constant<int, 1>());
  }
}

}  // namespace sod
