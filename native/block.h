// Small dense products on fp32 blocks that fit the cache, for attention. Rows are 64-byte aligned and padded to 16 floats.
#pragma once
#include "vec.h"

namespace sod {

typedef float v16 __attribute__((vector_size(64)));

inline i64 padded(i64 n) { return (n + 15) / 16 * 16; }

// c[rows][16·vectors] (+)= Σ_k a(r, k) · b[k][…]; every sum runs over k in order, whatever the tiling, so that a row's result
// does not depend on its neighbours.
template <int rows, int vectors, bool add>
inline void tile(const float* a, i64 aRow, i64 aK, const float* b, i64 ldb, float* c, i64 ldc, i64 k) {
  v16 sum[rows][vectors];
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++) sum[r][v] = add ? *(const v16*)(c + r * ldc + v * 16) : v16{};
  for (i64 i = 0; i < k; i++) {
    v16 right[vectors];
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++) right[v] = *(const v16*)(b + i * ldb + v * 16);
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
      const float left = a[r * aRow + i * aK];
#pragma GCC unroll 8
      for (int v = 0; v < vectors; v++) sum[r][v] += left * right[v];
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++) *(v16*)(c + r * ldc + v * 16) = sum[r][v];
}

template <int vectors, bool add>
inline void tileColumn(i64 m, const float* a, i64 aRow, i64 aK, const float* b, i64 ldb, float* c, i64 ldc, i64 k) {
  i64 r = 0;
  for (; r + 6 <= m; r += 6) tile<6, vectors, add>(a + r * aRow, aRow, aK, b, ldb, c + r * ldc, ldc, k);
  for (; r + 2 <= m; r += 2) tile<2, vectors, add>(a + r * aRow, aRow, aK, b, ldb, c + r * ldc, ldc, k);
  for (; r < m; r++) tile<1, vectors, add>(a + r * aRow, aRow, aK, b, ldb, c + r * ldc, ldc, k);
}

// c[m][n] (+)= a · b with a(r, k) = a[r·aRow + k·aK], b [k][n]; n is a multiple of 16.
template <bool add>
inline void blockProduct(i64 m, i64 n, i64 k, const float* a, i64 aRow, i64 aK, const float* b, i64 ldb, float* c, i64 ldc) {
  i64 j = 0;
  for (; j + 64 <= n; j += 64) tileColumn<4, add>(m, a, aRow, aK, b + j, ldb, c + j, ldc, k);
  for (; j + 32 <= n; j += 32) tileColumn<2, add>(m, a, aRow, aK, b + j, ldb, c + j, ldc, k);
  for (; j < n; j += 16) tileColumn<1, add>(m, a, aRow, aK, b + j, ldb, c + j, ldc, k);
}

// Memory of one thread for the length of a task: `need` floats in all, handed out in aligned pieces.
class Scratch {
 public:
  explicit Scratch(i64 need) {
    thread_local std::vector<float> memory;
    if (i64(memory.size()) < need + 16) memory.resize(need + 16);
    at_ = reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(memory.data()) + 63) / 64 * 64);
  }
  float* take(i64 floats) {
    float* piece = at_;
    at_ += padded(floats);
    return piece;
  }

 private:
  float* at_;
};

template <typename T>
inline void loadRow(float* to, const T* from, i64 n, float scale = 1.0f) {
  for (i64 j = 0; j < n; j++) to[j] = toFloat(from[j]) * scale;
}

}  // namespace sod
