// Attention of new tokens over a paged key/value cache (pages as in vLLM, arXiv 2309.06180), for prefill and decoding alike.
// A page holds the keys and values of `page` consecutive tokens of one layer, for each head as the right-hand sides of the two
// products: keys (d, page), values (page, d), interleaved as in block.h.
// A query's result does not depend on what else is in the batch, nor on how its sequence was cut into calls.
#include "args.h"
#include "block.h"
#include "threads.h"

namespace sod {
namespace {

constexpr i64 queriesPerBlock = 32;

struct CacheShape {
  i64 heads, kvHeads, d, group, page, pages;
  i64 qkWidth, qkvWidth;
};

struct Sequence {
  i64 firstRow, rows, before;  // before: tokens already in the cache
  const int32_t* pages;
};

template <typename T>
void keep(const CacheShape& s, const Sequence& sequence, i64 kv, const T* qk, const T* qkv, T* keys, T* values) {
  constexpr i64 lane = lanes<T>;
  for (i64 r = 0; r < sequence.rows; r++) {
    const i64 position = sequence.before + r, slot = position % s.page;
    const i64 base = (i64(sequence.pages[position / s.page]) * s.kvHeads + kv) * s.d * s.page;
    const T* k = qk + (sequence.firstRow + r) * s.qkWidth + (s.heads + kv) * s.d;
    const T* v = qkv + (sequence.firstRow + r) * s.qkvWidth + (s.heads + s.kvHeads + kv) * s.d;
    T* toK = keys + base + slot * lane;
    for (i64 j = 0; j < s.d; j++) toK[j / lane * lane * s.page + j % lane] = k[j];
    T* toV = values + base + slot / lane * lane * s.d;
    for (i64 j = 0; j < s.d; j++) toV[j * lane + slot % lane] = v[j];
    // The rest of the lane takes part in products, with weight 0.
    for (i64 rest = slot % lane + 1; rest < lane; rest++)
      for (i64 j = 0; j < s.d; j++) toV[j * lane + rest] = fromFloat<T>(0.0f);
  }
}

// Rows of a part padded to whole registers, where they are not that already.
template <typename T>
const T* asPadded(const T* part, T* scratch, i64 count, i64 d, i64 dp) {
  if (d == dp) return part;
  for (i64 r = 0; r < count; r += lanes<T>) loadRow(scratch + r * dp, part + r * d, d * lanes<T>, dp * lanes<T>);
  return scratch;
}

// Pages lie anywhere: the CPU does not guess the next one by itself.
template <typename T>
void prefetch(const T* part, i64 count) {
  for (i64 i = 0; i < count; i += 64 / i64(sizeof(T))) __builtin_prefetch(part + i, 0, 2);
}

// Softmax weights are rounded to what is multiplied and summed up as rounded, which keeps their average exact.
template <typename T>
void attend(const CacheShape& s, const Sequence& sequence, i64 kv, const T* qk, const T* keys, const T* values, T* out) {
  using E = Factor<T>;
  const i64 d = s.d, dp = padded(d), page = s.page;
  const i64 rowsPerBlock = std::min(sequence.rows, std::max<i64>(1, queriesPerBlock / s.group)), m = rowsPerBlock * s.group;
  const i64 longest = padded(sequence.before + sequence.rows + page);
  Scratch scratch(m * (2 * dp + 2 * longest + 1) + page * dp + 256);
  E* q = scratch.take<E>(m * d);
  E* weights = scratch.take<E>(m * longest);
  T* wider = scratch.take<T>(page * dp);
  float* o = scratch.take(m * dp);
  float* scores = scratch.take(m * longest);
  float* sums = scratch.take(m);
  const float scale = 1.0f / std::sqrt(float(d));
  const auto pageAt = [&](i64 token) { return (i64(sequence.pages[token / page]) * s.kvHeads + kv) * d * page; };

  for (i64 row = 0; row < sequence.rows; row += rowsPerBlock) {
    const i64 rows = std::min(rowsPerBlock, sequence.rows - row), queries = rows * s.group;
    const i64 length = sequence.before + row + rows;  // keys that the last query of the block sees
    for (i64 i = 0; i < queries; i++)
      loadRow(q + i * d, qk + (sequence.firstRow + row + i / s.group) * s.qkWidth + (kv * s.group + i % s.group) * d, d, d);
    for (i64 first = 0; first < length; first += page) {
      const i64 seen = padded(std::min(page, length - first));
      prefetch(values + pageAt(first), seen * d);
      if (first + page < length) prefetch(keys + pageAt(first + page), d * page);
      blockProduct<false>(queries, seen, d, q, d, keys + pageAt(first), page, scores + first, longest);
    }
    for (i64 i = 0; i < queries; i++) {
      const float* score = scores + i * longest;
      E* weight = weights + i * longest;
      const i64 seen = sequence.before + row + i / s.group + 1;
      vec highest = all(-INFINITY), total = {};
      for (i64 j = 0; j < seen; j += vecSize) highest = maximum(highest, firstOf(load(score + j), seen - j, -INFINITY));
      const float best = maximum(highest);
      for (i64 j = 0; j < seen; j += vecSize) {
        total += storeRounded(weight + j, firstOf(fastExp((load(score + j) - best) * scale), seen - j, 0));
      }
      for (i64 j = padded(seen); j < padded(length); j += vecSize) store(weight + j, vec{});
      sums[i] = sum(total);
    }
    std::memset(o, 0, queries * dp * 4);
    for (i64 first = 0; first < length; first += page) {
      const i64 count = paddedToLanes<T>(std::min(page, length - first));
      blockProduct<true>(queries, dp, count, weights + first, longest, asPadded(values + pageAt(first), wider, count, d, dp), dp, o, dp);
    }
    for (i64 i = 0; i < queries; i++) {
      T* to = out + ((sequence.firstRow + row + i / s.group) * s.heads + kv * s.group + i % s.group) * d;
      const float inverse = 1.0f / sums[i];
      for (i64 j = 0; j < d; j += vecSize) store(to + j, load(o + i * dp + j) * inverse, d - j);
    }
  }
}

// cachedAttention(out [n, heads·d], qk [n, (heads + kvHeads)·d], qkv [n, (heads + 2·kvHeads)·d], keys [pages, kvHeads, d·page], values (same),
//                 sequences [count, 3] (first row, rows, tokens before), pageTable [count, most], heads, kvHeads):
// stores the new keys and values, then attends.
Napi::Value cachedAttention(Args& args) {
  Dim n("n"), width("width"), qkWidth("qkWidth"), qkvWidth("qkvWidth"), pages("pages"), kvHeadsDim("kvHeads"), pageSize("d·page"),
      count("sequences"), three(3), most("most");
  Tensor& out = args.tensor("out", {DType::f32, DType::bf16}, {&n, &width});
  Tensor& qk = args.tensor("qk", {out.dtype}, {&n, &qkWidth});
  Tensor& qkv = args.tensor("qkv", {out.dtype}, {&n, &qkvWidth});
  Tensor& keys = args.tensor("keys", {out.dtype}, {&pages, &kvHeadsDim, &pageSize});
  Tensor& values = args.tensor("values", {out.dtype}, {&pages, &kvHeadsDim, &pageSize});
  Tensor& sequences = args.tensor("sequences", {DType::i32}, {&count, &three});
  Tensor& table = args.tensor("pageTable", {DType::i32}, {&count, &most});
  CacheShape s;
  s.heads = args.integer("heads", 1);
  s.kvHeads = args.integer("kvHeads", 1);
  args.require(s.kvHeads == kvHeadsDim && s.heads % s.kvHeads == 0, "kvHeads", "does not divide heads or differs from the cache's");
  args.require(width > 0 && width % s.heads == 0, "out", "is not heads·d wide");
  s.d = width / s.heads;
  s.group = s.heads / s.kvHeads;
  s.pages = pages;
  args.require(pageSize > 0 && pageSize % s.d == 0 && (pageSize / s.d) % 16 == 0, "keys", "does not hold pages of a multiple of 16 tokens");
  s.page = pageSize / s.d;
  s.qkWidth = qkWidth;
  s.qkvWidth = qkvWidth;
  args.require(qkWidth == (s.heads + s.kvHeads) * s.d, "qk", "is not (heads + kvHeads)·d wide");
  args.require(qkvWidth == (s.heads + 2 * s.kvHeads) * s.d, "qkv", "is not (heads + 2·kvHeads)·d wide");
  std::vector<Sequence> list;
  i64 row = 0;
  for (i64 i = 0; i < count; i++) {
    const int32_t* entry = sequences.as<int32_t>() + i * 3;
    const Sequence sequence{entry[0], entry[1], entry[2], table.as<int32_t>() + i * most};
    args.require(sequence.firstRow == row && sequence.rows >= 1 && row + sequence.rows <= n && sequence.before >= 0, "sequences",
                 "must cover all rows in order, without gaps");
    const i64 used = (sequence.before + sequence.rows + s.page - 1) / s.page;
    args.require(used <= most, "pageTable", [&] { return "is too narrow for sequence " + std::to_string(i); });
    for (i64 p = 0; p < used; p++)
      args.require(sequence.pages[p] >= 0 && sequence.pages[p] < pages, "pageTable", "names a page that does not exist");
    row += sequence.rows;
    list.push_back(sequence);
  }
  args.require(row == n, "sequences", "must cover all rows");
  withType(out.dtype, [&](auto zero) {
    using T = decltype(zero);
    parallelTasks(count * s.kvHeads, [&](i64 t) {
      const Sequence& sequence = list[t / s.kvHeads];
      keep(s, sequence, t % s.kvHeads, qk.as<T>(), qkv.as<T>(), keys.as<T>(), values.as<T>());
      attend(s, sequence, t % s.kvHeads, qk.as<T>(), keys.as<T>(), values.as<T>(), out.as<T>());
    });
  });
  return args.info().Env().Undefined();
}

// copyPage(cache [pages, kvHeads, d·page], to, from)
Napi::Value copyPage(Args& args) {
  Dim pages("pages"), kvHeads("kvHeads"), pageSize("d·page");
  Tensor& cache = args.tensor("cache", {DType::f32, DType::bf16}, {&pages, &kvHeads, &pageSize});
  const i64 to = args.integer("to", 0, pages - 1), from = args.integer("from", 0, pages - 1);
  const size_t bytes = size_t(kvHeads * pageSize) * bytesOf(cache.dtype);
  std::memmove(cache.bytes + to * bytes, cache.bytes + from * bytes, bytes);
  return args.info().Env().Undefined();
}

}  // namespace

void exportCachedAttention(Napi::Env env, Napi::Object exports) {
  exportKernel<cachedAttention>(env, exports, "cachedAttention");
  exportKernel<copyPage>(env, exports, "copyPage");
}

}  // namespace sod
