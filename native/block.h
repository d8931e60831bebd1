// Small dense products on blocks that fit the cache, for attention: bf16 where the CPU multiplies it, else fp32; sums in fp32.
// Rows are 64-byte aligned and padded to 16.
#pragma once
#include <type_traits>

#include "vec.h"

namespace sod {

// What activations of type T are multiplied as.
#ifdef __AVX512BF16__
template <typename T>
using Element = T;
#else
template <typename T>
using Element = float;
#endif

// Elements in a 32-bit lane. A product's right-hand side interleaves so many of its rows, [k / lanes][n][lanes], since the
// bf16 instruction multiplies pairs (vdpbf16ps).
template <typename E>
constexpr i64 lanes = 4 / sizeof(E);

inline i64 padded(i64 n) { return (n + 15) / 16 * 16; }

template <typename E>
i64 paddedToLanes(i64 n) {
  return (n + lanes<E> - 1) / lanes<E> * lanes<E>;
}

inline void multiplyAdd(v16& sum, const float* left, v16 right) { sum += *left * right; }
#ifdef __AVX512BF16__
inline void multiplyAdd(v16& sum, const bf16* left, v16 right) {
  int32_t pair;
  std::memcpy(&pair, left, 4);
  sum = (v16)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_epi32(pair), (__m512bh)right);
}
#endif

// c[rows][16·vectors] (+)= Σ_k a[r][k] · b(k, …); every sum runs over k in order, whatever the tiling, so that a row's result
// does not depend on its neighbours.
template <int rows, int vectors, bool add, typename E>
inline void tile(const E* a, i64 lda, const E* b, i64 ldb, float* c, i64 ldc, i64 k) {
  v16 sum[rows][vectors];
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++) sum[r][v] = add ? *(const v16*)(c + r * ldc + v * 16) : v16{};
  for (i64 i = 0; i < k; i += lanes<E>) {
    v16 right[vectors];
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++) right[v] = *(const v16*)(b + i * ldb + v * 16 * lanes<E>);
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 8
      for (int v = 0; v < vectors; v++) multiplyAdd(sum[r][v], a + r * lda + i, right[v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++) *(v16*)(c + r * ldc + v * 16) = sum[r][v];
}

template <int vectors, bool add, typename E>
inline void tileColumn(i64 m, const E* a, i64 lda, const E* b, i64 ldb, float* c, i64 ldc, i64 k) {
  i64 r = 0;
  for (; r + 6 <= m; r += 6) tile<6, vectors, add>(a + r * lda, lda, b, ldb, c + r * ldc, ldc, k);
  for (; r + 4 <= m; r += 4) tile<4, vectors, add>(a + r * lda, lda, b, ldb, c + r * ldc, ldc, k);
  for (; r + 2 <= m; r += 2) tile<2, vectors, add>(a + r * lda, lda, b, ldb, c + r * ldc, ldc, k);
  for (; r < m; r++) tile<1, vectors, add>(a + r * lda, lda, b, ldb, c + r * ldc, ldc, k);
}

// c[m][n] (+)= a · b with a [m][k] and b interleaved, [k / lanes][ldb][lanes]; n is a multiple of 16, k one of the lanes.
template <bool add, typename E>
inline void blockProduct(i64 m, i64 n, i64 k, const E* a, i64 lda, const E* b, i64 ldb, float* c, i64 ldc) {
  i64 j = 0;
  for (; j + 64 <= n; j += 64) tileColumn<4, add>(m, a, lda, b + j * lanes<E>, ldb, c + j, ldc, k);
  for (; j + 32 <= n; j += 32) tileColumn<2, add>(m, a, lda, b + j * lanes<E>, ldb, c + j, ldc, k);
  for (; j < n; j += 16) tileColumn<1, add>(m, a, lda, b + j * lanes<E>, ldb, c + j, ldc, k);
}

// Memory of one thread for the length of a task: `need` floats in all, handed out in aligned pieces.
class Scratch {
 public:
  explicit Scratch(i64 need) {
    thread_local std::vector<float> memory;
    if (i64(memory.size()) < need + 16) memory.resize(need + 16);
    at_ = reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(memory.data()) + 63) / 64 * 64);
  }
  template <typename E = float>
  E* take(i64 count) {
    E* piece = reinterpret_cast<E*>(at_);
    at_ += padded((count + lanes<E> - 1) / lanes<E>);
    return piece;
  }

 private:
  float* at_;
};

// What one 32-bit lane of a right-hand side holds.
template <typename E>
struct Lane {
  E part[lanes<E>];
};

// 16 lanes from a row and, where a lane holds two, the row behind it.
inline void storeLanes(float* to, v16 row, v16) { store(to, row); }
inline void storeLanes(bf16* to, v16 row, v16 next) {
#ifdef __AVX512BF16__
  const __m512i low = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)row));
  const __m512i high = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)next));
  _mm512_storeu_si512(to, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
#else
  for (int j = 0; j < 16; j++) {
    to[2 * j] = fromFloat<bf16>(row[j]);
    to[2 * j + 1] = fromFloat<bf16>(next[j]);
  }
#endif
}

// to[j] = from[j] for j < n, 0 up to `width`.
template <typename E, typename T>
inline void loadRow(E* to, const T* from, i64 n, i64 width) {
  i64 j = 0;
  for (; j + 16 <= n; j += 16) store(to + j, load(from + j));
  if (j < n) {
    store(to + j, load(from + j, n - j), width - j);
    j += 16;
  }
  for (; j < width; j++) to[j] = fromFloat<E>(0.0f);
}

// Stores 16 elements of a left-hand side and gives them as they were stored.
template <typename E>
inline v16 storeRounded(E* to, v16 x) {
  store(to, x);
  return load(to);
}

// A left-hand side that has to be more exact than bf16 is kept in so many parts: high and low, high + low = x. Their products
// with the same right-hand side are added.
template <typename E>
constexpr i64 parts = lanes<E>;

// 16 elements in their parts, which lie `stride` from each other.
inline void storeParts(float* to, i64, v16 x) { store(to, x); }
inline void storeParts(bf16* to, i64 stride, v16 x) { store(to + stride, x - storeRounded(to, x)); }

// Rows [count][n] as the right-hand side of a product over them: to(r, j) = from[r][j], 0 up to `width` columns and `depth` rows.
template <typename E, typename T>
inline void interleaveRows(E* to, const T* from, i64 stride, i64 count, i64 n, i64 depth, i64 width) {
  for (i64 r = 0; r < depth; r += lanes<E>)
    for (i64 j = 0; j < width; j += 16) {
      const auto part = [&](i64 row) { return row < count && j < n ? load(from + row * stride + j, n - j) : v16{}; };
      storeLanes(to + r * width + j * lanes<E>, part(r), part(r + 1));
    }
}

// Makes rows of 16 lanes columns: one bit of the two indices changes places at a time.
template <int bit = 8>
inline void transposeLanes(v16i (&rows)[16]) {
  v16i low, high;
  for (int j = 0; j < 16; j++) {
    low[j] = j & bit ? 16 + j - bit : j;
    high[j] = j & bit ? 16 + j : j + bit;
  }
#pragma GCC unroll 16
  for (int i = 0; i < 16; i++) {
    if (i & bit) continue;
    const v16i a = rows[i], b = rows[i + bit];
    rows[i] = __builtin_shuffle(a, b, low);
    rows[i + bit] = __builtin_shuffle(a, b, high);
  }
  if constexpr (bit > 1) transposeLanes<bit / 2>(rows);
}

// 16 lanes of a row.
template <typename E, typename T>
inline v16i loadLanes(const T* from) {
  v16i x;
  if constexpr (std::is_same_v<E, T>)
    std::memcpy(&x, from, 64);
  else
    x = (v16i)load(from);
  return x;
}

// The same rows as the right-hand side of a product over their columns: to(j, r) = from[r][j], 0 up to `width` rows.
template <typename E, typename T>
inline void interleaveColumns(E* to, const T* from, i64 stride, i64 count, i64 n, i64 width) {
  constexpr i64 step = 16 * lanes<E>;
  Lane<E>* columns = reinterpret_cast<Lane<E>*>(to);
  const i64 wholeRows = count / 16 * 16, wholeColumns = n / step * step;
  for (i64 r = 0; r < wholeRows; r += 16)
    for (i64 j = 0; j < wholeColumns; j += step) {
      v16i block[16];
      for (i64 i = 0; i < 16; i++) block[i] = loadLanes<E>(from + (r + i) * stride + j);
      transposeLanes(block);
      for (i64 i = 0; i < 16; i++) std::memcpy(columns + (j / lanes<E> + i) * width + r, &block[i], 64);
    }
  for (i64 r = 0; r < count; r++)
    for (i64 j = r < wholeRows ? wholeColumns : 0; j < n; j += lanes<E>) {
      Lane<E> lane;
      if constexpr (std::is_same_v<E, T>)
        std::memcpy(&lane, from + r * stride + j, sizeof lane);
      else
        lane.part[0] = toFloat(from[r * stride + j]);
      columns[j / lanes<E> * width + r] = lane;
    }
  for (i64 j = 0; j < n / lanes<E>; j++)
    for (i64 r = count; r < width; r++) columns[j * width + r] = {};
}

// to[j][r] = from[r][j] for `count` rows, 0 up to `width`, which is a multiple of the lanes.
template <typename E>
inline void transpose(E* to, const E* from, i64 stride, i64 count, i64 n, i64 width) {
  constexpr i64 step = 16 * lanes<E>;
  const i64 wholeRows = count / step * step, wholeColumns = n / 16 * 16;
  for (i64 r = 0; r < wholeRows; r += step)
    for (i64 j = 0; j < wholeColumns; j += 16) {
      v16i block[16];
      for (i64 i = 0; i < 16; i++) {
        const E* row = from + (r + i * lanes<E>) * stride + j;
        storeLanes(reinterpret_cast<E*>(&block[i]), load(row), load(row + stride * (lanes<E> - 1)));
      }
      transposeLanes(block);
      for (i64 i = 0; i < 16; i++) std::memcpy(to + (j + i) * width + r, &block[i], 64);
    }
  for (i64 r = 0; r < width; r += lanes<E>)
    for (i64 j = r < wholeRows ? wholeColumns : 0; j < n; j++) {
      Lane<E> lane;
      for (i64 part = 0; part < lanes<E>; part++) lane.part[part] = r + part < count ? from[(r + part) * stride + j] : fromFloat<E>(0.0f);
      std::memcpy(to + j * width + r, &lane, sizeof lane);
    }
}

}  // namespace sod
