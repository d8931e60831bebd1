// The optimizer over flat storage: global norm, then clip, update and clearing of the gradient in one pass.
#include "args.h"
#include "threads.h"
#include "vec.h"

namespace sod {
namespace {

constexpr i64 block = 1 << 14;

// sumSquares(g [size]) → Σ g², in blocks of fixed size, so that the result does not depend on the number of threads.
Napi::Value sumSquares(Args& args) {
  Dim size("size");
  Tensor& g = args.tensor("g", {DType::f32}, {&size});
  const i64 blocks = (size + block - 1) / block;
  std::vector<double> sums(blocks);
  parallelFor(blocks, block, [&](i64 b) {
    const float* p = g.as<float>();
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (i64 i = b * block; i < std::min(size.value, (b + 1) * block); i++) sum += double(p[i]) * p[i];
    sums[b] = sum;
  });
  double total = 0;
  for (double sum : sums) total += sum;
  return Napi::Number::New(args.info().Env(), total);
}

// adamw(p, g, m, v [size], step, learningRate, beta1, beta2, epsilon, weightDecay, gradScale), decoupled decay as in PyTorch
// (Loshchilov & Hutter, arXiv 1711.05101); g is cleared.
Napi::Value adamw(Args& args) {
  Dim size("size");
  Tensor& p = args.tensor("p", {DType::f32}, {&size});
  Tensor& g = args.tensor("g", {DType::f32}, {&size});
  Tensor& m = args.tensor("m", {DType::f32}, {&size});
  Tensor& v = args.tensor("v", {DType::f32}, {&size});
  const double step = args.integer("step", 1), rate = args.number("learningRate"), beta1 = args.number("beta1"),
               beta2 = args.number("beta2");
  const float epsilon = args.number("epsilon"), decay = 1 - rate * args.number("weightDecay"), scale = args.number("gradScale");
  const float stepSize = rate / (1 - std::pow(beta1, step)), rootCorrection = 1 / std::sqrt(1 - std::pow(beta2, step));
  const float b1 = beta1, b2 = beta2, c1 = 1 - beta1, c2 = 1 - beta2;
  const i64 total = size;
  // By value: what a pointer might change, the compiler would not keep in vectors.
  parallelFor((total + block - 1) / block, block, [=, w = p.as<float>(), grad = g.as<float>(), first = m.as<float>(), second = v.as<float>()](i64 b) {
    const i64 end = std::min(total, (b + 1) * block);
#pragma omp simd
    for (i64 i = b * block; i < end; i++) {
      const float d = grad[i] * scale;
      grad[i] = 0;
      first[i] = b1 * first[i] + c1 * d;
      second[i] = b2 * second[i] + c2 * d * d;
      w[i] = w[i] * decay - stepSize * first[i] / (std::sqrt(second[i]) * rootCorrection + epsilon);
    }
  });
  return args.info().Env().Undefined();
}

}  // namespace

void exportAdamw(Napi::Env env, Napi::Object exports) {
  exportKernel<sumSquares>(env, exports, "sumSquares");
  exportKernel<adamw>(env, exports, "adamw");
}

}  // namespace sod
