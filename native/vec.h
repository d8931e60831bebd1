// Small numeric pieces that the kernels share: bf16, and a register full of numbers at a time, as wide as this machine's are.
#pragma once
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>

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

// What this is compiled for: floats in a register, and how many registers there are.
#if defined(__AVX512BF16__)
constexpr const char* isa = "avx512-bf16";
constexpr int vecSize = 16, vecRegisters = 32;
#elif defined(__AVX512F__)
constexpr const char* isa = "avx512";
constexpr int vecSize = 16, vecRegisters = 32;
#elif defined(__AVX2__)
constexpr const char* isa = "avx2";
constexpr int vecSize = 8, vecRegisters = 16;
#elif defined(__aarch64__)
constexpr const char* isa = "neon";
constexpr int vecSize = 4, vecRegisters = 32;
#else
constexpr const char* isa = "portable";
constexpr int vecSize = 4, vecRegisters = 16;
#endif

typedef float vec __attribute__((vector_size(vecSize * 4)));
typedef int32_t ivec __attribute__((vector_size(vecSize * 4)));
typedef uint32_t uvec __attribute__((vector_size(vecSize * 4)));
typedef uint16_t halfVec __attribute__((vector_size(vecSize * 2)));

inline vec all(float x) { return x - vec{}; }

inline vec load(const float* p) {
  vec x;
  std::memcpy(&x, p, sizeof x);
  return x;
}
inline void store(float* p, vec x) { std::memcpy(p, &x, sizeof x); }

// 16-bit lanes as 32-bit ones and back. GCC 12 takes them apart in halves where it is left to itself.
inline ivec widened(halfVec x) {
#if defined(__AVX512F__)
  return (ivec)_mm512_cvtepu16_epi32((__m256i)x);
#elif defined(__AVX2__)
  return (ivec)_mm256_cvtepu16_epi32((__m128i)x);
#else
  return __builtin_convertvector(x, ivec);
#endif
}
inline halfVec narrowed(ivec x) {
#if defined(__AVX2__) && !defined(__AVX512F__)
  return (halfVec)_mm_packus_epi32(_mm256_castsi256_si128((__m256i)x), _mm256_extracti128_si256((__m256i)x, 1));
#else
  return __builtin_convertvector(x, halfVec);
#endif
}

inline vec load(const bf16* p) {
  halfVec x;
  std::memcpy(&x, p, sizeof x);
  return (vec)(widened(x) << 16);
}
inline void store(bf16* p, vec x) {
#if defined(__AVX512BF16__)
  const __m256bh rounded = _mm512_cvtneps_pbh((__m512)x);
#else
  const uvec bits = (uvec)x;
  const uvec nearest = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16, quiet = (bits >> 16) | 0x40;
  const halfVec rounded = narrowed((ivec)(x != x ? quiet : nearest));
#endif
  std::memcpy(p, &rounded, sizeof rounded);
}

// The first `count` of a register, 0 behind them; `count` may be more than a register holds.
#if defined(__AVX512BF16__)
inline __mmask16 firstLanes(i64 count) { return (1 << count) - 1; }
inline vec loadFirst(const float* p, i64 count) { return (vec)_mm512_maskz_loadu_ps(firstLanes(count), p); }
inline vec loadFirst(const bf16* p, i64 count) { return (vec)(widened((halfVec)_mm256_maskz_loadu_epi16(firstLanes(count), p)) << 16); }
inline void storeFirst(float* p, vec x, i64 count) { _mm512_mask_storeu_ps(p, firstLanes(count), (__m512)x); }
inline void storeFirst(bf16* p, vec x, i64 count) { _mm256_mask_storeu_epi16(p, firstLanes(count), (__m256i)_mm512_cvtneps_pbh((__m512)x)); }
#else
template <typename T>
inline vec loadFirst(const T* p, i64 count) {
  T part[vecSize] = {};
  std::memcpy(part, p, count * sizeof(T));
  return load(part);
}
template <typename T>
inline void storeFirst(T* p, vec x, i64 count) {
  T part[vecSize];
  store(part, x);
  std::memcpy(p, part, count * sizeof(T));
}
#endif
template <typename T>
inline vec load(const T* p, i64 count) {
  return count >= vecSize ? load(p) : loadFirst(p, count);
}
template <typename T>
inline void store(T* p, vec x, i64 count) {
  count >= vecSize ? store(p, x) : storeFirst(p, x, count);
}

// x in the first `count` lanes, `rest` behind them; `count` may be any number.
inline vec firstOf(vec x, i64 count, float rest) {
  constexpr int32_t numbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  ivec lane;
  std::memcpy(&lane, numbers, sizeof lane);
  return lane < int32_t(std::min<i64>(count, vecSize)) ? x : all(rest);
}

// NaN in `a` stays.
inline vec maximum(vec a, vec b) {
#if defined(__AVX512F__)
  return (vec)_mm512_max_ps((__m512)b, (__m512)a);
#elif defined(__AVX2__)
  return (vec)_mm256_max_ps((__m256)b, (__m256)a);
#else
  return a < b ? b : a;
#endif
}
inline vec minimum(vec a, vec b) {
#if defined(__AVX512F__)
  return (vec)_mm512_min_ps((__m512)b, (__m512)a);
#elif defined(__AVX2__)
  return (vec)_mm256_min_ps((__m256)b, (__m256)a);
#else
  return a > b ? b : a;
#endif
}

// Joins all lanes: halves of halves.
template <typename Join>
inline float reduce(vec x, Join&& join) {
  float lanes[vecSize];
  store(lanes, x);
#pragma GCC unroll 4
  for (int half = vecSize / 2; half > 0; half /= 2)
#pragma GCC unroll 8
    for (int j = 0; j < half; j++) lanes[j] = join(lanes[j], lanes[j + half]);
  return lanes[0];
}
inline float sum(vec x) {
#if defined(__AVX512F__)
  return _mm512_reduce_add_ps((__m512)x);
#else
  return reduce(x, [](float a, float b) { return a + b; });
#endif
}
inline float maximum(vec x) {
#if defined(__AVX512F__)
  return _mm512_reduce_max_ps((__m512)x);
#else
  return reduce(x, [](float a, float b) { return std::max(a, b); });
#endif
}

// e^x to about 2 ulp by a polynomial on [-ln2/2, ln2/2] (Cephes' coefficients), for x clamped to [-87.3, 88].
inline vec fastExp(vec x) {
  x = minimum(maximum(x, all(-87.3f)), all(88.0f));
  const vec shifted = x * 1.44269504f + 12582912.0f;
  const vec n = shifted - 12582912.0f;
  const vec r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  vec p = 1.9875691500e-4f * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
#if defined(__AVX512F__)
  return (vec)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
  const ivec exponent = ((ivec)shifted - 0x4b400000 + 127) << 23;
  return p * (vec)exponent;
#endif
}
inline float fastExp(float x) { return fastExp(all(x))[0]; }

}  // namespace sod
