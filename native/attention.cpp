// Causal attention over packed sequences that may share prefixes. The rows of a pack fall into segments; a segment sees
// itself causally and its ancestors whole, so a prompt shared by many samples is computed, and differentiated, once.
// Softmax is blocked over keys with a running maximum (Dao et al., FlashAttention, arXiv 2205.14135): no T×T matrix.
#include "args.h"
#include "block.h"
#include "threads.h"

namespace sod {
namespace {

constexpr i64 keysPerBlock = 128;
constexpr i64 queriesPerBlock = 48;  // rows times heads of a group

struct KeyBlock {
  i64 firstRow, rows, width;  // width: rows padded to whole registers
  i64 column;                 // widths of the tree's blocks before it
};

struct Segment {
  i64 firstRow, rows, parent;
  i64 firstBlock, blocks;
};

// A root segment and its descendants: what one task works on, for one key/value head.
struct Tree {
  i64 firstSegment, segments, firstRow, rows, columns;
};

struct Layout {
  std::vector<Segment> segments;
  std::vector<KeyBlock> blocks;
  std::vector<Tree> trees;
};

// Segments [count, 3]: first row, rows, parent (-1: none). They follow each other without gaps, a tree's in one run, parents first.
Layout layoutOf(Args& args, const Tensor& table, i64 n) {
  Layout layout;
  i64 row = 0;
  for (i64 s = 0; s < table.shape[0]; s++) {
    const int32_t* entry = table.as<int32_t>() + s * 3;
    const i64 rows = entry[1], parent = entry[2];
    args.require(entry[0] == row && rows >= 1 && row + rows <= n, "segments", "must cover all rows in order, without gaps");
    if (parent < 0) layout.trees.push_back({s, 0, row, 0, 0});
    args.require(parent < s && (parent < 0 || parent >= layout.trees.back().firstSegment), "segments", "must come after their parent and in one run with it");
    Tree& tree = layout.trees.back();
    tree.segments++;
    tree.rows += rows;
    layout.segments.push_back({row, rows, parent, i64(layout.blocks.size()), 0});
    for (i64 r = 0; r < rows; r += keysPerBlock) {
      const i64 count = std::min(keysPerBlock, rows - r), width = padded(count);
      layout.blocks.push_back({row + r, count, width, tree.columns});
      tree.columns += width;
      layout.segments.back().blocks++;
    }
    row += rows;
  }
  args.require(row == n, "segments", "must cover all rows");
  return layout;
}

struct Heads {
  i64 heads, kvHeads, d, group, dp;  // dp: d padded to whole registers
  i64 qkWidth, qkvWidth;
};

// What forward and backward both take behind their own tensors: out, lse, qk, qkv, segments, heads, kvHeads.
struct Inputs {
  Dim n{"n"}, width{"width"}, qkWidth{"qkWidth"}, qkvWidth{"qkvWidth"};
  Tensor *out, *lse, *qk, *qkv;
  Heads h;
  Layout layout;

  void read(Args& args, std::initializer_list<DType> dtypes) {
    Dim lseWidth("heads"), count("segments"), three(3);
    out = &args.tensor("out", dtypes, {&n, &width});
    lse = &args.tensor("lse", {DType::f32}, {&n, &lseWidth});
    qk = &args.tensor("qk", {out->dtype}, {&n, &qkWidth});
    qkv = &args.tensor("qkv", {out->dtype}, {&n, &qkvWidth});
    Tensor& segments = args.tensor("segments", {DType::i32}, {&count, &three});
    h.heads = args.integer("heads", 1);
    h.kvHeads = args.integer("kvHeads", 1);
    args.require(lseWidth == h.heads, "lse", "is not heads wide");
    args.require(h.heads % h.kvHeads == 0, "kvHeads", "does not divide heads");
    args.require(width > 0 && width % h.heads == 0, "out", "is not heads·d wide");
    h.d = width / h.heads;
    h.dp = padded(h.d);
    h.group = h.heads / h.kvHeads;
    h.qkWidth = qkWidth;
    h.qkvWidth = qkvWidth;
    args.require(qkWidth == (h.heads + h.kvHeads) * h.d, "qk", "is not (heads + kvHeads)·d wide");
    args.require(qkvWidth == (h.heads + 2 * h.kvHeads) * h.d, "qkv", "is not (heads + 2·kvHeads)·d wide");
    args.require(h.d % 2 == 0, "out", "has heads of an odd length");
    layout = layoutOf(args, segments, n);
  }

  // One task for each tree and key/value head.
  template <typename F>
  void forEachTask(F&& body) const {
    parallelTasks(layout.trees.size() * h.kvHeads, [&](i64 t) { body(layout.trees[t / h.kvHeads], t % h.kvHeads); });
  }
};

// The blocks a segment's query sees: those of its ancestors, nearest last, then its own.
void chainOf(const Layout& layout, i64 s, std::vector<const KeyBlock*>& chain) {
  chain.clear();
  for (i64 at = s; at >= 0; at = layout.segments[at].parent) {
    const Segment& segment = layout.segments[at];
    for (i64 b = segment.blocks - 1; b >= 0; b--) chain.push_back(&layout.blocks[segment.firstBlock + b]);
  }
  std::reverse(chain.begin(), chain.end());
}

// Keys of `block` that the query in `row` of `segment` sees.
i64 visible(const Segment& segment, const KeyBlock& block, i64 row) {
  return block.firstRow < segment.firstRow ? block.rows : std::clamp<i64>(row - block.firstRow + 1, 0, block.rows);
}

// The blocks of a tree.
std::pair<const KeyBlock*, const KeyBlock*> blocksOf(const Layout& layout, const Tree& tree) {
  const Segment& first = layout.segments[tree.firstSegment];
  const Segment& last = layout.segments[tree.firstSegment + tree.segments - 1];
  return {&layout.blocks[first.firstBlock], &layout.blocks[0] + last.firstBlock + last.blocks};
}

template <typename T>
void forwardTask(const Layout& layout, const Tree& tree, i64 kv, const Heads& h, const T* qk, const T* qkv, T* out, float* lse) {
  using E = Factor<T>;
  const i64 d = h.d, dp = h.dp, rowsPerBlock = std::max<i64>(1, queriesPerBlock / h.group), m = rowsPerBlock * h.group;
  Scratch scratch(2 * tree.columns * dp + m * (2 * dp + 3 * keysPerBlock + 2) + 256);
  E* keys = scratch.take<E>(tree.columns * d);
  E* values = scratch.take<E>(tree.columns * dp);
  E* q = scratch.take<E>(m * dp);
  E* weights = scratch.take<E>(m * 2 * keysPerBlock);
  float* o = scratch.take(m * dp);
  float* scores = scratch.take(m * keysPerBlock);
  float* top = scratch.take(m);
  float* sums = scratch.take(m);

  const T* k = qk + (h.heads + kv) * d;
  const T* v = qkv + (h.heads + h.kvHeads + kv) * d;
  const auto [firstBlock, lastBlock] = blocksOf(layout, tree);
  for (const KeyBlock* block = firstBlock; block < lastBlock; block++) {
    interleaveColumns(keys + block->column * d, k + block->firstRow * h.qkWidth, h.qkWidth, block->rows, d, block->width);
    interleaveRows(values + block->column * dp, v + block->firstRow * h.qkvWidth, h.qkvWidth, block->rows, d, block->width, dp);
  }

  const float scale = 1.0f / std::sqrt(float(d));
  std::vector<const KeyBlock*> chain;
  for (i64 s = tree.firstSegment; s < tree.firstSegment + tree.segments; s++) {
    const Segment& segment = layout.segments[s];
    chainOf(layout, s, chain);
    for (i64 row = segment.firstRow; row < segment.firstRow + segment.rows; row += rowsPerBlock) {
      const i64 rows = std::min(rowsPerBlock, segment.firstRow + segment.rows - row), queries = rows * h.group;
      for (i64 i = 0; i < queries; i++) {
        loadRow(q + i * dp, qk + (row + i / h.group) * h.qkWidth + (kv * h.group + i % h.group) * d, d, dp);
        top[i] = -INFINITY;
        sums[i] = 0;
      }
      std::memset(o, 0, queries * dp * 4);
      for (const KeyBlock* block : chain) {
        if (block->firstRow >= row + rows && block->firstRow >= segment.firstRow) break;
        const i64 width = padded(visible(segment, *block, row + rows - 1));
        blockProduct<false>(queries, width, d, q, dp, keys + block->column * d, block->width, scores, keysPerBlock);
        for (i64 i = 0; i < queries; i++) {
          const float* score = scores + i * keysPerBlock;
          E* weight = weights + i * 2 * keysPerBlock;
          const i64 seen = visible(segment, *block, row + i / h.group);
          vec highest = all(-INFINITY);
          for (i64 j = 0; j < width; j += vecSize) highest = maximum(highest, firstOf(load(score + j), seen - j, -INFINITY));
          const float best = std::max(top[i], maximum(highest) * scale);
          vec total = {};
          for (i64 j = 0; j < width; j += vecSize) {
            const vec e = firstOf(fastExp(load(score + j) * scale - best), seen - j, 0);
            total += e;
            storeParts(weight + j, keysPerBlock, e);
          }
          if (best > top[i]) {
            const float correction = fastExp(top[i] - best);
            sums[i] *= correction;
            for (i64 j = 0; j < dp; j += vecSize) store(o + i * dp + j, load(o + i * dp + j) * correction);
            top[i] = best;
          }
          sums[i] += sum(total);
        }
        for (i64 part = 0; part < parts<E>; part++)
          blockProduct<true>(queries, dp, width, weights + part * keysPerBlock, 2 * keysPerBlock, values + block->column * dp, dp, o, dp);
      }
      for (i64 i = 0; i < queries; i++) {
        const i64 at = row + i / h.group, head = kv * h.group + i % h.group;
        T* to = out + at * h.heads * d + head * d;
        const float inverse = 1.0f / sums[i];
        for (i64 j = 0; j < d; j += vecSize) store(to + j, load(o + i * dp + j) * inverse, d - j);
        lse[at * h.heads + head] = top[i] + std::log(sums[i]);
      }
    }
  }
}

// With S = scale·QKᵀ, P = exp(S − lse), D = rowsum(dO ∘ O): dS = P ∘ (dO Vᵀ − D), dQ = scale·dS K, dKᵀ = scale·Qᵀ dS, dVᵀ = dOᵀ P.
template <typename T>
void backwardTask(const Layout& layout, const Tree& tree, i64 kv, const Heads& h, const T* qk, const T* qkv, const T* out,
                  const float* lse, const T* dout, T* dqk, T* dqkv) {
  using E = Factor<T>;
  constexpr bool asComputed = std::is_same_v<E, float>;  // what is multiplied next is what was computed, where it is
  const i64 d = h.d, dp = h.dp, rowsPerBlock = std::max<i64>(1, queriesPerBlock / h.group), m = paddedToLanes<E>(rowsPerBlock * h.group);
  Scratch scratch(5 * tree.columns * dp + m * (5 * dp + 5 * keysPerBlock + 1) + 256);
  E* keyColumns = scratch.take<E>(tree.columns * d);
  E* keyRows = scratch.take<E>(tree.columns * dp);
  E* valueColumns = scratch.take<E>(tree.columns * d);
  float* dkeys = scratch.take(tree.columns * d);  // [d][width] for each block
  float* dvalues = scratch.take(tree.columns * d);
  E* q = scratch.take<E>(m * dp);
  E* dO = scratch.take<E>(m * dp);
  E* qT = scratch.take<E>(m * dp);
  E* dOT = scratch.take<E>(m * dp);
  float* dq = scratch.take(m * dp);
  float* p = scratch.take(m * keysPerBlock);
  float* ds = scratch.take(m * keysPerBlock);
  E* dsRows = scratch.take<E>(m * keysPerBlock);
  E* pInterleaved = scratch.take<E>(m * keysPerBlock);
  E* dsInterleaved = scratch.take<E>(m * keysPerBlock);
  float* dots = scratch.take(m);

  const T* k = qk + (h.heads + kv) * d;
  const T* v = qkv + (h.heads + h.kvHeads + kv) * d;
  const auto [firstBlock, lastBlock] = blocksOf(layout, tree);
  for (const KeyBlock* block = firstBlock; block < lastBlock; block++) {
    const T* keyRow = k + block->firstRow * h.qkWidth;
    interleaveColumns(keyColumns + block->column * d, keyRow, h.qkWidth, block->rows, d, block->width);
    interleaveRows(keyRows + block->column * dp, keyRow, h.qkWidth, block->rows, d, block->width, dp);
    interleaveColumns(valueColumns + block->column * d, v + block->firstRow * h.qkvWidth, h.qkvWidth, block->rows, d, block->width);
  }
  std::memset(dkeys, 0, tree.columns * d * 4);
  std::memset(dvalues, 0, tree.columns * d * 4);

  const float scale = 1.0f / std::sqrt(float(d));
  std::vector<const KeyBlock*> chain;
  for (i64 s = tree.firstSegment; s < tree.firstSegment + tree.segments; s++) {
    const Segment& segment = layout.segments[s];
    chainOf(layout, s, chain);
    for (i64 row = segment.firstRow; row < segment.firstRow + segment.rows; row += rowsPerBlock) {
      const i64 rows = std::min(rowsPerBlock, segment.firstRow + segment.rows - row), queries = rows * h.group;
      const i64 depth = paddedToLanes<E>(queries);
      for (i64 i = 0; i < queries; i++) {
        const i64 at = row + i / h.group, head = kv * h.group + i % h.group;
        const T *o = out + (at * h.heads + head) * d, *slope = dout + (at * h.heads + head) * d;
        loadRow(q + i * dp, qk + at * h.qkWidth + head * d, d, dp);
        loadRow(dO + i * dp, slope, d, dp);
        vec dot = {};
        for (i64 j = 0; j < d; j += vecSize) dot += load(o + j, d - j) * load(slope + j, d - j);
        dots[i] = sum(dot);
      }
      transpose(qT, q, dp, queries, d, depth);
      transpose(dOT, dO, dp, queries, d, depth);
      std::memset(dq, 0, queries * dp * 4);
      for (const KeyBlock* block : chain) {
        if (block->firstRow >= row + rows && block->firstRow >= segment.firstRow) break;
        const i64 width = padded(visible(segment, *block, row + rows - 1)), at = block->column * d;
        blockProduct<false>(queries, width, d, q, dp, keyColumns + at, block->width, p, keysPerBlock);
        blockProduct<false>(queries, width, d, dO, dp, valueColumns + at, block->width, ds, keysPerBlock);
        for (i64 i = 0; i < queries; i++) {
          const i64 seen = visible(segment, *block, row + i / h.group);
          const float norm = lse[(row + i / h.group) * h.heads + kv * h.group + i % h.group];
          float *weights = p + i * keysPerBlock, *slopes = ds + i * keysPerBlock;
          for (i64 j = 0; j < width; j += vecSize) {
            const vec weight = firstOf(fastExp(load(weights + j) * scale - norm), seen - j, 0);
            const vec slope = weight * (load(slopes + j) - dots[i]);
            store(weights + j, weight);
            store(slopes + j, slope);
            if constexpr (!asComputed) store(dsRows + i * keysPerBlock + j, slope);
          }
        }
        const auto multiply = [&](const E* weightLanes, const E* slopeLanes, i64 stride, const E* slopeRows) {
          blockProduct<true>(d, width, depth, dOT, depth, weightLanes, stride, dvalues + at, block->width);
          blockProduct<true>(d, width, depth, qT, depth, slopeLanes, stride, dkeys + at, block->width);
          blockProduct<true>(queries, dp, width, slopeRows, keysPerBlock, keyRows + block->column * dp, dp, dq, dp);
        };
        if constexpr (asComputed) {
          multiply(p, ds, keysPerBlock, ds);
        } else {
          interleaveRows(pInterleaved, p, keysPerBlock, queries, width, depth, width);
          interleaveRows(dsInterleaved, ds, keysPerBlock, queries, width, depth, width);
          multiply(pInterleaved, dsInterleaved, width, dsRows);
        }
      }
      for (i64 i = 0; i < queries; i++) {
        T* to = dqk + (row + i / h.group) * h.qkWidth + (kv * h.group + i % h.group) * d;
        for (i64 j = 0; j < d; j += vecSize) store(to + j, load(dq + i * dp + j) * scale, d - j);
      }
    }
  }
  for (const KeyBlock* block = firstBlock; block < lastBlock; block++) {
    const float *fromK = dkeys + block->column * d, *fromV = dvalues + block->column * d;
    for (i64 r = 0; r < block->rows; r++) {
      T* toK = dqk + (block->firstRow + r) * h.qkWidth + (h.heads + kv) * d;
      T* toV = dqkv + (block->firstRow + r) * h.qkvWidth + (h.heads + h.kvHeads + kv) * d;
      for (i64 j = 0; j < d; j++) {
        toK[j] = fromFloat<T>(fromK[j * block->width + r] * scale);
        toV[j] = fromFloat<T>(fromV[j * block->width + r]);
      }
    }
  }
}

// attention(out [n, heads·d], lse [n, heads], qk [n, (heads + kvHeads)·d], qkv [n, (heads + 2·kvHeads)·d] (its value part),
//           segments [count, 3], heads, kvHeads)
Napi::Value attention(Args& args) {
  Inputs in;
  in.read(args, {DType::f32, DType::bf16});
  withType(in.out->dtype, [&](auto zero) {
    using T = decltype(zero);
    in.forEachTask([&](const Tree& tree, i64 kv) {
      forwardTask(in.layout, tree, kv, in.h, in.qk->as<T>(), in.qkv->as<T>(), in.out->as<T>(), in.lse->as<float>());
    });
  });
  return args.info().Env().Undefined();
}

// attentionBackward(dqk, dqkv (its value part is written), dout, out, lse, qk, qkv, segments, heads, kvHeads)
Napi::Value attentionBackward(Args& args) {
  Inputs in;
  Tensor& dqk = args.tensor("dqk", {DType::f32, DType::bf16}, {&in.n, &in.qkWidth});
  Tensor& dqkv = args.tensor("dqkv", {dqk.dtype}, {&in.n, &in.qkvWidth});
  Tensor& dout = args.tensor("dout", {dqk.dtype}, {&in.n, &in.width});
  in.read(args, {dqk.dtype});
  withType(dqk.dtype, [&](auto zero) {
    using T = decltype(zero);
    in.forEachTask([&](const Tree& tree, i64 kv) {
      backwardTask(in.layout, tree, kv, in.h, in.qk->as<T>(), in.qkv->as<T>(), in.out->as<T>(), in.lse->as<float>(), dout.as<T>(),
                   dqk.as<T>(), dqkv.as<T>());
    });
  });
  return args.info().Env().Undefined();
}

}  // namespace

void exportAttention(Napi::Env env, Napi::Object exports) {
  exportKernel<attention>(env, exports, "attention");
  exportKernel<attentionBackward>(env, exports, "attentionBackward");
}

}  // namespace sod
