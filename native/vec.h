// Small numeric pieces that the kernels share: bf16 conversion, exp that vectorises, parallel loops over rows.
#pragma once
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

// e^x to about 2 ulp by a polynomial on [-ln2/2, ln2/2] (Cephes' coefficients); branch-free, so that loops vectorise.
inline float fastExp(float x) {
  x = std::min(std::max(x, -87.3f), 88.0f);
  const float shifted = x * 1.44269504f + 12582912.0f;
  const float n = shifted - 12582912.0f;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  int32_t bits;
  std::memcpy(&bits, &shifted, 4);
  const int32_t exponent = (bits - 0x4b400000 + 127) << 23;
  float scale;
  std::memcpy(&scale, &exponent, 4);
  return p * scale;
}

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
#pragma omp parallel for schedule(dynamic, 1)
  for (i64 i = 0; i < n; i++) error.guard([&] { body(i); });
  error.rethrow();
}

}  // namespace sod
