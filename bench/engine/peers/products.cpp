// What the machine can do at most: a library's matrix product alone, or memory read from end to end, by all cores. A printed number
// is the median of repetitions.
//
//   products onednn f32|bf16 ROWS INNER COLUMNS     floating-point operations a second, the right side packed beforehand
//   products openblas f32 ROWS INNER COLUMNS        the same of sgemm, which packs by itself
//   products memory BYTES                           bytes a second
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include <cblas.h>
#include <dnnl.hpp>

namespace {

double medianSeconds(const std::function<void()>& work) {
  constexpr int warmups = 2, repeats = 9;
  std::vector<double> seconds;
  for (int i = 0; i < warmups + repeats; i++) {
    const auto start = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    if (i >= warmups) seconds.push_back(taken.count());
  }
  std::nth_element(seconds.begin(), seconds.begin() + repeats / 2, seconds.end());
  return seconds[repeats / 2];
}

std::vector<float> noise(size_t count) {
  std::vector<float> values(count);
  uint32_t state = 1;
  for (float& value : values) value = float((state = state * 1664525u + 1013904223u) >> 8) / (1 << 24) - 0.5f;
  return values;
}

double oneDnn(dnnl::memory::data_type type, int64_t rows, int64_t inner, int64_t columns) {
  using dnnl::memory;
  dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(cpu);
  const auto plain = [](memory::dims dims, memory::data_type of) { return memory::desc(dims, of, memory::format_tag::ab); };
  const auto filled = [&](memory::dims dims, const memory::desc& wanted) {
    std::vector<float> values = noise(size_t(dims[0]) * dims[1]);
    memory from(plain(dims, memory::data_type::f32), cpu, values.data()), to(wanted, cpu);
    dnnl::reorder(from, to).execute(stream, from, to);
    stream.wait();
    return to;
  };
  const memory::desc x = plain({rows, inner}, type), y = plain({rows, columns}, type);
  const memory::desc any({inner, columns}, type, memory::format_tag::any);
  dnnl::matmul::primitive_desc how(dnnl::matmul::desc(x, any, y), cpu);
  memory left = filled({rows, inner}, x), right = filled({inner, columns}, how.weights_desc()), out(y, cpu);
  dnnl::matmul product(how);
  return medianSeconds([&] {
    product.execute(stream, {{DNNL_ARG_SRC, left}, {DNNL_ARG_WEIGHTS, right}, {DNNL_ARG_DST, out}});
    stream.wait();
  });
}

double openBlas(int rows, int inner, int columns) {
  const std::vector<float> left = noise(size_t(rows) * inner), right = noise(size_t(inner) * columns);
  std::vector<float> out(size_t(rows) * columns);
  return medianSeconds([&] {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, columns, inner, 1, left.data(), inner, right.data(), columns, 0,
                out.data(), columns);
  });
}

double readingSeconds(size_t bytes) {
  const std::vector<uint64_t> values(bytes / sizeof(uint64_t), 1);
  volatile uint64_t kept = 0; // so that the sum is needed
  return medianSeconds([&] {
    uint64_t sum = 0;
#pragma omp parallel for simd schedule(static) reduction(+ : sum)
    for (size_t i = 0; i < values.size(); i++) sum += values[i];
    kept = sum;
  });
}

double measure(const std::vector<std::string>& args) {
  const auto number = [&](size_t i) { return std::atoll(args.at(i).c_str()); };
  if (args.at(0) == "memory") return double(number(1)) / readingSeconds(number(1));
  const int64_t rows = number(2), inner = number(3), columns = number(4);
  const auto type = args[1] == "bf16" ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
  const double seconds = args[0] == "onednn" ? oneDnn(type, rows, inner, columns) : openBlas(rows, inner, columns);
  return 2.0 * rows * inner * columns / seconds;
}

} // namespace

int main(int count, char** words) {
  try {
    std::printf("%.0f\n", measure(std::vector<std::string>(words + 1, words + count)));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "products: %s\n", error.what());
    return 1;
  }
}
