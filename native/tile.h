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

// A right-hand side in registers of lanes: that of column vector v at k is at base[k · depth stride + v · a register], and those
// of the next panel `panelStride` further.
template <typename R>
struct RightSide {
  const R* base;
  i64 depthStride, panelStride;
  template <typename Lanes>
  Lanes at(i64 k, int v) const {
    Lanes x;
    std::memcpy(&x, base + k * depthStride + v / tileVectors * panelStride + v % tileVectors * vecSize * lanes<R>, sizeof x);
    return x;
  }
};

// sum += a · b, and the odd ones of pairs of bf16 as fp32. With 16 registers GCC keeps some of a tile's sums in memory, unless it
// is told that they stay where they are and the mask does not need one.
#if defined(__AVX2__) && !defined(__AVX512F__)
alignas(32) constexpr uint32_t upperHalves[8] = {0xffff0000, 0xffff0000, 0xffff0000, 0xffff0000, 0xffff0000, 0xffff0000, 0xffff0000, 0xffff0000};
inline __attribute__((always_inline)) void addProduct(vec& sum, vec a, vec b) {
  asm volatile("vfmadd231ps %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b));
}
inline __attribute__((always_inline)) vec oddOf(ivec pairs) {
  asm("vpand %1, %0, %0" : "+x"(pairs) : "m"(upperHalves));
  return (vec)pairs;
}
#else
inline void addProduct(vec& sum, vec a, vec b) { sum += a * b; }
inline vec oddOf(ivec pairs) { return (vec)(pairs & int32_t(0xffff0000)); }
#endif

// Multiplies the lanes of a right-hand side at k into the sums of a tile.
template <int rows, int vectors>
inline __attribute__((always_inline)) void multiplyAdd(vec (&sum)[rows][vectors], const LeftSide<float>& left, const RightSide<float>& right, i64 k) {
  vec b[vectors];
#pragma GCC unroll 8
  for (int v = 0; v < vectors; v++) b[v] = right.template at<vec>(k, v);
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++) addProduct(sum[r][v], all(*left.at(r, k)), b[v]);
}

// The even ones of the pairs, then the odd ones: a bf16 is the upper half of its fp32.
template <int rows, int vectors>
inline __attribute__((always_inline)) void multiplyAdd(vec (&sum)[rows][vectors], const LeftSide<float>& left, const RightSide<bf16>& right, i64 k) {
#pragma GCC unroll 2
  for (int odd = 0; odd < 2; odd++) {
    vec b[vectors];
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++) {
      const ivec pairs = right.template at<ivec>(k, v);
      b[v] = odd ? oddOf(pairs) : (vec)(pairs << 16);
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
      for (int v = 0; v < vectors; v++) addProduct(sum[r][v], all(*left.at(r, k + odd)), b[v]);
  }
}

#if defined(__AVX512BF16__)
template <int rows, int vectors>
inline __attribute__((always_inline)) void multiplyAdd(vec (&sum)[rows][vectors], const LeftSide<bf16>& left, const RightSide<bf16>& right, i64 k) {
  __m512bh b[vectors];
#pragma GCC unroll 8
  for (int v = 0; v < vectors; v++) b[v] = right.template at<__m512bh>(k, v);
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++) {
    int32_t pair;
    std::memcpy(&pair, left.at(r, k), 4);
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++) sum[r][v] = (vec)_mm512_dpbf16_ps((__m512)sum[r][v], (__m512bh)_mm512_set1_epi32(pair), b[v]);
  }
}
#endif

// to[rows][vectors of columns] = from + Σ_k left(r, k) · right(k, …) over k in [0, depth), which is a multiple of the lanes; from
// is 0 where there is none. A function of its own: inlined, GCC keeps some of the sums in memory.
template <int rows, int vectors, typename L, typename R, typename From, typename To>
__attribute__((noinline)) void tile(LeftSide<L> left, RightSide<R> right, i64 depth, const From* from, i64 fromStride, To* to, i64 stride) {
  vec sum[rows][vectors];
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++) sum[r][v] = from ? load(from + r * fromStride + v * vecSize) : vec{};
  for (i64 k = 0; k < depth; k += lanes<R>) multiplyAdd(sum, left, right, k);
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++) store(to + r * stride + v * vecSize, sum[r][v]);
}

// body(n) with n as a constant, for n from 1 to `most`.
template <int most, typename F>
inline void withConstant(i64 n, F&& body) {
  if constexpr (most > 0) {
    if (n == most) return body(std::integral_constant<int, most>());
    withConstant<most - 1>(n, body);
  }
}

// Covers `count` rows with tiles: cover(first, rows), rows a constant of at most tileRows.
template <typename Cover>
inline void coverRows(i64 count, Cover&& cover) {
  i64 r = 0;
  for (; r + tileRows <= count; r += tileRows) cover(r, std::integral_constant<int, tileRows>());
  withConstant<tileRows - 1>(count - r, [&](auto rows) { cover(r, rows); });
}

}  // namespace sod
