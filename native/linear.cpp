// y = x Wᵀ with packed weights, and its two gradients; a bias, and its gradient.
#include "args.h"
#include "threads.h"
#include "vec.h"

namespace sod {
namespace {

// What is made of a weight that is packed forward: its other direction.
Napi::Value packOther(Args& args, const PackedWeight& forward) {
  args.require(forward.direction == Direction::forward, "w", "is packed for the other direction");
  args.require(args.boolean("bf16") == (forward.dtype == DType::bf16), "bf16", "is another dtype than the weight is packed in");
  args.require(args.boolean("backward"), "backward", "must be true of a weight that is packed forward");
  args.require(args.integer("chunkRows", 1) == forward.chunkRows, "chunkRows", "are others than the weight is packed in");
  Resource resource;
  resource.packed = std::make_unique<PackedWeight>(packBackward(forward));
  return Napi::Number::New(args.info().Env(), addResource(std::move(resource)));
}

// pack(w [rows, columns], in blocks or packed forward, dtype bf16?, backward?, chunkRows) → id of a packed weight
Napi::Value pack(Args& args) {
  if (const PackedWeight* forward = args.optionalPacked()) return packOther(args, *forward);
  const auto blocks = args.optionalBlocks();
  Dim rows("rows"), columns("columns");
  Tensor* w = blocks ? nullptr : &args.tensor("w", {DType::f32, DType::bf16}, {&rows, &columns});
  const DType dtype = args.boolean("bf16") ? DType::bf16 : DType::f32;
  const Direction direction = args.boolean("backward") ? Direction::backward : Direction::forward;
  args.require(blocks ? blocks->dtype == dtype : rows > 0 && columns > 0, "w", blocks ? "has values of another dtype" : "is empty");
  const i64 chunkRows = args.integer("chunkRows", 1);
  Resource resource;
  resource.packed = std::make_unique<PackedWeight>(blocks ? packWeight(blocks, direction, chunkRows) : packWeight(*w, dtype, direction, chunkRows));
  return Napi::Number::New(args.info().Env(), addResource(std::move(resource)));
}

// repack(forward, backward, w [rows, columns] f32): both packings of a weight anew
Napi::Value repack(Args& args) {
  PackedWeight& forward = args.packed("forward", Direction::forward);
  PackedWeight& backward = args.packed("backward", Direction::backward);
  Dim rows(forward.rows), columns(forward.columns);
  Tensor& w = args.tensor("w", {DType::f32}, {&rows, &columns});
  args.require(backward.rows == rows && backward.columns == columns && backward.dtype == forward.dtype, "backward", "is another weight than forward");
  args.require(!forward.blocks && !backward.blocks, "forward", "is made of blocks");
  args.require(!backward.forward, "backward", "is made of the other direction");
  args.require(backward.chunkRows == forward.chunkRows, "backward", "is cut in other chunks than forward");
  repackWeight(forward, backward, w);
  return args.info().Env().Undefined();
}

// linear(y [n, rows], x [n, columns], packed): y in the weight's dtype or f32
Napi::Value linear(Args& args) {
  Dim n("n"), rows("rows"), columns("columns");
  Tensor& y = args.tensor("y", {DType::f32, DType::bf16}, {&n, &rows});
  Tensor& x = args.tensor("x", {DType::f32, DType::bf16}, {&n, &columns});
  PackedWeight& w = args.packed("w", Direction::forward);
  args.require(w.rows == rows && w.columns == columns, "w", [&] { return "has shape " + shapeText({w.rows, w.columns}) + ", expected " + shapeText({rows, columns}); });
  args.require(x.dtype == w.dtype, "x", [&] { return std::string("has dtype ") + name(x.dtype) + ", the weight " + name(w.dtype); });
  args.require(w.chunks.size() == 1, "w", "is packed in chunks");
  multiplyPacked(panelsOf(w, w.chunks[0]), {x.bytes, columns}, n, {y.bytes, rows}, y.dtype, false);
  return args.info().Env().Undefined();
}

// linearBackward(dx [n, columns], dy [n, rows], packed for backward)
Napi::Value linearBackward(Args& args) {
  Dim n("n"), rows("rows"), columns("columns");
  Tensor& dx = args.tensor("dx", {DType::f32, DType::bf16}, {&n, &columns});
  Tensor& dy = args.tensor("dy", {DType::f32, DType::bf16}, {&n, &rows});
  PackedWeight& w = args.packed("w", Direction::backward);
  args.require(w.rows == rows && w.columns == columns, "w", [&] { return "has shape " + shapeText({w.rows, w.columns}) + ", expected " + shapeText({rows, columns}); });
  args.require(w.chunks.size() == 1, "w", "is packed in chunks");
  args.require(dy.dtype == w.dtype, "dy", [&] { return std::string("has dtype ") + name(dy.dtype) + ", the weight " + name(w.dtype); });
  multiplyPacked(panelsOf(w, w.chunks[0]), {dy.bytes, rows}, n, {dx.bytes, columns}, dx.dtype, false);
  return args.info().Env().Undefined();
}

// linearWeightGrad(dw [rows, columns] f32, dy [n, rows], x [n, columns], add): dw (+)= dyᵀ x
Napi::Value linearWeightGrad(Args& args) {
  Dim n("n"), rows("rows"), columns("columns");
  Tensor& dw = args.tensor("dw", {DType::f32}, {&rows, &columns});
  Tensor& dy = args.tensor("dy", {DType::f32, DType::bf16}, {&n, &rows});
  Tensor& x = args.tensor("x", {dy.dtype}, {&n, &columns});
  multiplyOuter(dy.dtype, {dy.bytes, rows}, {x.bytes, columns}, dw.as<float>(), rows, columns, n, args.boolean("add"));
  return args.info().Env().Undefined();
}

// addBias(x [n, width], b [width]): x += b in every row
Napi::Value addBias(Args& args) {
  Dim n("n"), width("width");
  Tensor& x = args.tensor("x", {DType::f32, DType::bf16}, {&n, &width});
  const float* b = args.tensor("b", {DType::f32}, {&width}).as<float>();
  withType(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    parallelFor(n, width, [&](i64 i) {
      T* row = x.as<T>() + i * width;
      for (i64 j = 0; j < width; j += vecSize) store(row + j, load(row + j, width - j) + load(b + j, width - j), width - j);
    });
  });
  return args.info().Env().Undefined();
}

// biasGradient(db [width] f32, dy [n, width]): db += Σ dy over rows
Napi::Value biasGradient(Args& args) {
  Dim n("n"), width("width");
  float* db = args.tensor("db", {DType::f32}, {&width}).as<float>();
  Tensor& dy = args.tensor("dy", {DType::f32, DType::bf16}, {&n, &width});
  Tensor partial = makeTensor(DType::f32, {bandsOf(n), width});
  std::memset(partial.bytes, 0, partial.size() * 4);
  withType(dy.dtype, [&](auto zero) {
    using T = decltype(zero);
    parallelBands(n, width, [&](i64 band, i64 first, i64 last) {
      float* sums = partial.as<float>() + band * width;
      for (i64 i = first; i < last; i++) {
        const T* row = dy.as<T>() + i * width;
        for (i64 j = 0; j < width; j += vecSize) store(sums + j, load(sums + j, width - j) + load(row + j, width - j), width - j);
      }
    });
  });
  for (i64 band = 0; band < bandsOf(n); band++)
    for (i64 j = 0; j < width; j++) db[j] += partial.as<float>()[band * width + j];
  return args.info().Env().Undefined();
}

}  // namespace

void exportLinear(Napi::Env env, Napi::Object exports) {
  exportKernel<pack>(env, exports, "pack");
  exportKernel<repack>(env, exports, "repack");
  exportKernel<linear>(env, exports, "linear");
  exportKernel<linearBackward>(env, exports, "linearBackward");
  exportKernel<linearWeightGrad>(env, exports, "linearWeightGrad");
  exportKernel<addBias>(env, exports, "addBias");
  exportKernel<biasGradient>(env, exports, "biasGradient");
}

}  // namespace sod
