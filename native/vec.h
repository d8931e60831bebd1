// Small numeric pieces that the kernels share: bf16, 16 numbers at a time, parallel loops over rows.
#pragma once
#ifdef __AVX512F__
#include <immintrin.h>
#endif

#include <algorithm>
#include <cmath>
#include <cstring>
#include <exception>

#include "tensor.h"

namespace sod {

inline float toFloat(float x) { return x; }
inline float toFloat(bf16 x) {
  const uint32_t bits = uint32_t(x.bits) << 16;
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}

template <typename T>
inline T fromFloat(float x);
template <>
inline float fromFloat<float>(float x) {
  return x;
}
// Round to nearest, ties to even; NaN stays NaN.
template <>
inline bf16 fromFloat<bf16>(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const uint32_t quiet = (bits >> 16) | 0x40;
  return {uint16_t((bits & 0x7fffffff) > 0x7f800000 ? quiet : rounded)};
}

// 16 floats: one register of AVX-512; the compiler makes several of it elsewhere.
typedef float v16 __attribute__((vector_size(64)));
typedef int32_t v16i __attribute__((vector_size(64)));

inline v16 all(float x) { return v16{} + x; }

inline v16 load(const float* p) {
  v16 x;
  std::memcpy(&x, p, 64);
  return x;
}
inline void store(float* p, v16 x) { std::memcpy(p, &x, 64); }

inline v16 load(const bf16* p) {
#ifdef __AVX512F__
  return (v16)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)p)), 16);
#else
  v16 x;
  for (int j = 0; j < 16; j++) x[j] = toFloat(p[j]);
  return x;
#endif
}
inline void store(bf16* p, v16 x) {
#ifdef __AVX512BF16__
  _mm256_storeu_si256((__m256i*)p, (__m256i)_mm512_cvtneps_pbh((__m512)x));
#else
  for (int j = 0; j < 16; j++) p[j] = fromFloat<bf16>(x[j]);
#endif
}

// The first `count` of 16, 0 behind them; `count` may be 16 or more.
template <typename T>
inline v16 load(const T* p, i64 count) {
  if (count >= 16) return load(p);
  T part[16] = {};
  std::memcpy(part, p, count * sizeof(T));
  return load(part);
}
template <typename T>
inline void store(T* p, v16 x, i64 count) {
  if (count >= 16) return store(p, x);
  T part[16];
  store(part, x);
  std::memcpy(p, part, count * sizeof(T));
}

// x in the first `count` of 16, `rest` behind them; `count` may be any number.
inline v16 firstOf(v16 x, i64 count, float rest) {
  constexpr v16i lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return lane < int32_t(std::min<i64>(count, 16)) ? x : all(rest);
}

// NaN in `a` stays.
inline v16 maximum(v16 a, v16 b) {
#ifdef __AVX512F__
  return (v16)_mm512_max_ps((__m512)b, (__m512)a);
#else
  return a < b ? b : a;
#endif
}
inline v16 minimum(v16 a, v16 b) {
#ifdef __AVX512F__
  return (v16)_mm512_min_ps((__m512)b, (__m512)a);
#else
  return a > b ? b : a;
#endif
}

inline float sum(v16 x) {
#ifdef __AVX512F__
  return _mm512_reduce_add_ps((__m512)x);
#else
  float total = 0;
  for (int j = 0; j < 16; j++) total += x[j];
  return total;
#endif
}
inline float maximum(v16 x) {
#ifdef __AVX512F__
  return _mm512_reduce_max_ps((__m512)x);
#else
  float best = x[0];
  for (int j = 1; j < 16; j++) best = std::max(best, x[j]);
  return best;
#endif
}

// e^x to about 2 ulp by a polynomial on [-ln2/2, ln2/2] (Cephes' coefficients), for x clamped to [-87.3, 88].
inline v16 fastExp(v16 x) {
  x = minimum(maximum(x, all(-87.3f)), all(88.0f));
  const v16 shifted = x * 1.44269504f + 12582912.0f;
  const v16 n = shifted - 12582912.0f;
  const v16 r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  v16 p = 1.9875691500e-4f * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
#ifdef __AVX512F__
  return (v16)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
  const v16i exponent = ((v16i)shifted - 0x4b400000 + 127) << 23;
  return p * (v16)exponent;
#endif
}
inline float fastExp(float x) { return fastExp(all(x))[0]; }

// An exception must not leave a parallel region: the first one is kept, to be thrown behind it.
class FirstError {
 public:
  template <typename F>
  void guard(F&& body) {
    try {
      body();
    } catch (...) {
#pragma omp critical(firstError)
      if (!error_) error_ = std::current_exception();
    }
  }
  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  std::exception_ptr error_;
};

// Runs body(i) for i in [0, n) on all threads when the work is worth waking them. `cost`: elements touched per i.
template <typename F>
void parallelFor(i64 n, i64 cost, F&& body) {
  FirstError error;
#pragma omp parallel for schedule(static) if (n > 1 && n * cost > 8192)
  for (i64 i = 0; i < n; i++) error.guard([&] { body(i); });
  error.rethrow();
}

// Runs body(i) for i in [0, n), uneven pieces of work that each thread takes when it is free.
template <typename F>
void parallelTasks(i64 n, F&& body) {
  FirstError error;
#pragma omp parallel for schedule(dynamic, n < 64 ? 1 : n / 32)
  for (i64 i = 0; i < n; i++) error.guard([&] { body(i); });
  error.rethrow();
}

}  // namespace sod
