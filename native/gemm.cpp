#include "gemm.h"

#include <omp.h>

#include <array>
#include <cstdlib>
#include <list>
#include <map>
#include <unordered_map>

#include "args.h"
#include "few_rows.h"

namespace sod {
namespace {

using dnnl::memory;
using dnnl::primitive_attr;
using dims = memory::dims;

// Where a CPU has AMX, oneDNN's kernels for it are left out unless its own variable asks for them: in their bf16 products a
// row's last bits depend on the rows beside it.
dnnl::engine& cpu() {
  static dnnl::engine engine = [] {
    if (!std::getenv("ONEDNN_MAX_CPU_ISA")) dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx512_core_bf16);
    return dnnl::engine(dnnl::engine::kind::cpu, 0);
  }();
  return engine;
}

memory::data_type typeOf(DType dtype) {
  return dtype == DType::bf16 ? memory::data_type::bf16 : memory::data_type::f32;
}

primitive_attr attributes(bool accumulate) {
  primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (accumulate) {
    dnnl::post_ops ops;
    ops.append_sum(1.0f);
    attr.set_post_ops(ops);
  }
  return attr;
}

// Making a primitive takes a tenth of a millisecond or more, so the recent ones are kept, by everything that they depend on.
struct Product {
  dnnl::primitive primitive;
  memory x, w, y, scratch;
  size_t scratchBytes;
  std::unordered_map<int, memory> arguments;
};
using Key = std::array<i64, 9>;

class ProductCache {
 public:
  template <typename Make>
  Product& get(const Key& key, Make&& make) {
    auto found = byKey_.find(key);
    if (found != byKey_.end()) {
      recent_.splice(recent_.begin(), recent_, found->second);
      return found->second->second;
    }
    if (byKey_.size() >= 1024) {
      byKey_.erase(recent_.back().first);
      recent_.pop_back();
    }
    recent_.emplace_front(key, make());
    byKey_[key] = recent_.begin();
    return recent_.front().second;
  }

 private:
  std::list<std::pair<Key, Product>> recent_;
  std::map<Key, std::list<std::pair<Key, Product>>::iterator> byKey_;
};

thread_local ProductCache products;

using Argument = std::pair<int, memory::desc>;

Product bound(const dnnl::primitive& primitive, const memory::desc& scratch, const Argument& x, const Argument& w, const Argument& y) {
  const auto at = [](const memory::desc& desc) { return memory(desc, cpu(), nullptr); };
  Product product{primitive, at(x.second), at(w.second), at(y.second), at(scratch), scratch.get_size(), {}};
  product.arguments = {{x.first, product.x}, {w.first, product.w}, {y.first, product.y}, {DNNL_ARG_SCRATCHPAD, product.scratch}};
  return product;
}

Product makeProduct(const memory::desc& x, const memory::desc& w, const memory::desc& y, bool accumulate) {
  dnnl::matmul::primitive_desc pd(dnnl::matmul::desc(x, w, y), attributes(accumulate), cpu());
  return bound(dnnl::matmul(pd), pd.scratchpad_desc(), {DNNL_ARG_SRC, x}, {DNNL_ARG_WEIGHTS, w}, {DNNL_ARG_DST, y});
}

// y = xᵀ w as oneDNN computes gradients itself: faster, but it cannot add them to others.
Product makeOuterProduct(const memory::desc& x, const memory::desc& w, const memory::desc& y) {
  dnnl::inner_product_forward::primitive_desc forward(
      dnnl::inner_product_forward::desc(dnnl::prop_kind::forward_training, w, memory::desc(y.dims(), w.data_type(), memory::format_tag::any), x), cpu());
  dnnl::inner_product_backward_weights::primitive_desc pd(dnnl::inner_product_backward_weights::desc(w, y, x), attributes(false), cpu(), forward);
  return bound(dnnl::inner_product_backward_weights(pd), pd.scratchpad_desc(), {DNNL_ARG_DIFF_DST, x}, {DNNL_ARG_SRC, w}, {DNNL_ARG_DIFF_WEIGHTS, y});
}

void run(Product& product, const void* x, void* w, void* y) {
  thread_local dnnl::stream stream(cpu());
  Storage scratch(product.scratchBytes);
  product.x.set_data_handle(const_cast<void*>(x));
  product.w.set_data_handle(w);
  product.y.set_data_handle(y);
  product.scratch.set_data_handle(scratch.data());
  product.primitive.execute(stream, product.arguments);
  stream.wait();
}

// oneDNN's layout of a weight does not depend on the number of rows that it will meet; this many stand for them.
constexpr i64 typicalRows = 512;

// W as the right-hand matrix [k, n] of the product: transposed for the forward direction.
memory::desc plainView(const Tensor& w, Direction direction, i64 rows, i64 columns) {
  return direction == Direction::forward ? memory::desc({columns, rows}, typeOf(w.dtype), dims{1, columns})
                                         : memory::desc({rows, columns}, typeOf(w.dtype), dims{columns, 1});
}

void fill(const PackedWeight& packed, PackedWeight::Chunk& chunk, const Tensor& w) {
  char* from = w.bytes + size_t(chunk.firstRow * packed.columns) * bytesOf(w.dtype);
  memory plain(plainView(w, packed.direction, chunk.rows, packed.columns), cpu(), from);
  dnnl::stream stream(cpu());
  dnnl::reorder(plain, chunk.memory).execute(stream, plain, chunk.memory);
  stream.wait();
}

void multiplyByOneDnn(const PackedWeight& packed, const PackedWeight::Chunk& chunk, const void* x, i64 m, void* y, DType yType,
                      bool accumulate) {
  const bool forward = packed.direction == Direction::forward;
  const i64 k = forward ? packed.columns : chunk.rows, n = forward ? chunk.rows : packed.columns;
  const Key key{0, m, n, k, i64(packed.dtype), i64(yType), accumulate, i64(packed.direction), omp_get_max_threads()};
  Product& product = products.get(key, [&] {
    return makeProduct(memory::desc({m, k}, typeOf(packed.dtype), dims{k, 1}), chunk.memory.get_desc(),
                       memory::desc({m, n}, typeOf(yType), dims{n, 1}), accumulate);
  });
  run(product, x, chunk.memory.get_data_handle(), y);
}

void multiplyByPanels(const PackedWeight::Chunk& chunk, DType dtype, i64 k, i64 n, i64 depth, const void* x, i64 m, void* y, DType yType) {
  withType(dtype, [&](auto element) {
    using E = Element<decltype(element)>;
    withType(yType, [&](auto zero) {
      using T = decltype(zero);
      multiplyFewRows(static_cast<const E*>(x), m, k, static_cast<const E*>(chunk.storage->data()), chunk.panelStride, depth, n, static_cast<T*>(y));
    });
  });
}

PackedWeight::Chunk packChunk(const PackedWeight& packed, i64 first, i64 rows, const Tensor& w) {
  const i64 k = packed.direction == Direction::forward ? packed.columns : rows;
  const i64 n = packed.direction == Direction::forward ? rows : packed.columns;
  const memory::desc x({typicalRows, k}, typeOf(packed.dtype), dims{k, 1});
  const memory::desc y({typicalRows, n}, memory::data_type::f32, dims{n, 1});
  const memory::desc any({k, n}, typeOf(packed.dtype), memory::format_tag::any);
  dnnl::matmul::primitive_desc pd(dnnl::matmul::desc(x, any, y), attributes(false), cpu());
  PackedWeight::Chunk chunk{first, rows, {}, std::make_shared<Storage>(pd.weights_desc().get_size()), panelStrideOf(pd.weights_desc(), packed.dtype), 0};
  chunk.memory = memory(pd.weights_desc(), cpu(), chunk.storage->data());
  fill(packed, chunk, w);
  return chunk;
}

// How many terms of a sum oneDNN adds up at a time for a product of this shape, found out by trying with random numbers; 0 where
// it does it in another way.
i64 findSumDepth(DType dtype, i64 n, i64 k) {
  uint32_t state = 1;
  const auto random = [&] {
    state = state * 1664525 + 1013904223;
    return float(state >> 8) / (1 << 24) - 0.5f;
  };
  Tensor w = makeTensor(dtype, {n, k}), x = makeTensor(dtype, {fewRows + 1, k});
  for (const Tensor* t : {&w, &x})
    withType(dtype, [&](auto zero) {
      using T = decltype(zero);
      for (i64 i = 0; i < t->size(); i++) t->as<T>()[i] = fromFloat<T>(random());
    });
  const PackedWeight packed{Direction::forward, dtype, n, k, n, {}};
  const PackedWeight::Chunk chunk = packChunk(packed, 0, n, w);
  if (!chunk.panelStride || k % (4 / bytesOf(dtype)) != 0) return 0;
  Tensor expected = makeTensor(DType::f32, {fewRows + 1, n}), y = makeTensor(DType::f32, {fewRows, n});
  multiplyByOneDnn(packed, chunk, x.bytes, fewRows + 1, expected.bytes, DType::f32, false);
  for (i64 depth : {k, i64(1024), i64(512), i64(256)}) {
    if (depth > k) continue;
    multiplyByPanels(chunk, dtype, k, n, depth, x.bytes, fewRows, y.bytes, DType::f32);
    if (std::memcmp(y.bytes, expected.bytes, y.size() * sizeof(float)) == 0) return depth;
  }
  return 0;
}

i64 sumDepth(DType dtype, i64 n, i64 k) {
  thread_local std::map<std::array<i64, 3>, i64> known;
  const std::array<i64, 3> shape{i64(dtype), n, k};
  auto found = known.find(shape);
  if (found == known.end()) found = known.emplace(shape, findSumDepth(dtype, n, k)).first;
  return found->second;
}

}  // namespace

PackedWeight packWeight(const Tensor& w, DType dtype, Direction direction, i64 chunkRows) {
  PackedWeight packed{direction, dtype, w.shape[0], w.shape[1], chunkRows, {}};
  for (i64 first = 0; first < packed.rows; first += chunkRows) {
    const i64 rows = std::min(chunkRows, packed.rows - first);
    packed.chunks.push_back(packChunk(packed, first, rows, w));
    // Only decoding has so few rows.
    if (direction == Direction::forward) packed.chunks.back().sumDepth = sumDepth(dtype, rows, packed.columns);
  }
  return packed;
}

void repackWeight(PackedWeight& forward, PackedWeight& backward, const Tensor& w) {
  for (size_t c = 0; c < forward.chunks.size(); c++) {
    PackedWeight::Chunk &f = forward.chunks[c], &b = backward.chunks[c];
    if (f.panelStride && b.panelStride && w.shape[1] % (4 / bytesOf(forward.dtype)) == 0) {
      withType(forward.dtype, [&](auto element) {
        using E = Element<decltype(element)>;
        packPanels(w.as<float>() + f.firstRow * w.shape[1], f.rows, w.shape[1], static_cast<E*>(f.storage->data()), f.panelStride,
                   static_cast<E*>(b.storage->data()), b.panelStride);
      });
    } else {
      fill(forward, f, w);
      fill(backward, b, w);
    }
  }
}

void multiplyPacked(const PackedWeight& packed, const PackedWeight::Chunk& chunk, const void* x, i64 m, void* y, DType yType,
                    bool accumulate) {
  if (m == 0) return;
  if (m <= fewRows && chunk.sumDepth && !accumulate)
    multiplyByPanels(chunk, packed.dtype, packed.columns, chunk.rows, chunk.sumDepth, x, m, y, yType);
  else
    multiplyByOneDnn(packed, chunk, x, m, y, yType, accumulate);
}

void multiplyOuter(DType dtype, const void* a, const void* b, float* c, i64 m, i64 n, i64 k, bool add) {
  if (k == 0) return;
  const Key key{1, m, n, k, i64(dtype), 0, add, 0, omp_get_max_threads()};
  Product& product = products.get(key, [&] {
    const memory::desc right({k, n}, typeOf(dtype), dims{n, 1}), sum({m, n}, memory::data_type::f32, dims{n, 1});
    return add ? makeProduct(memory::desc({m, k}, typeOf(dtype), dims{1, m}), right, sum, true)
               : makeOuterProduct(memory::desc({k, m}, typeOf(dtype), dims{m, 1}), right, sum);
  });
  run(product, a, const_cast<void*>(b), c);
}

}  // namespace sod
