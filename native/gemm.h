// Every matrix product, by oneDNN. Weights are packed into oneDNN's own layout once per update and reused.
#pragma once
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>

#include "tensor.h"

namespace sod {

// forward: y = x Wᵀ; backward: dx = dy W.
enum class Direction { forward, backward };

// A weight W [rows, columns] in oneDNN's layout, split by rows into chunks (the LM head's vocabulary; one chunk elsewhere).
struct PackedWeight {
  Direction direction;
  DType dtype;
  i64 rows, columns, chunkRows;
  struct Chunk {
    i64 firstRow, rows;
    dnnl::memory memory;
    std::shared_ptr<Storage> storage;
    i64 panelStride, sumDepth;  // for panels.h and few_rows.h; 0 where only oneDNN knows the layout
  };
  std::vector<Chunk> chunks;
};

PackedWeight packWeight(const Tensor& w, DType dtype, Direction direction, i64 chunkRows);
// Brings both layouts of a weight, cut in the same chunks, up to date with it: w is f32.
void repackWeight(PackedWeight& forward, PackedWeight& backward, const Tensor& w);

// Rows follow each other without gaps in every operand: oneDNN has no fast code for others.

// y[m, n] (+)= x[m, k] · chunk, n and k by the chunk's direction.
void multiplyPacked(const PackedWeight& packed, const PackedWeight::Chunk& chunk, const void* x, i64 m, void* y, DType yType,
                    bool accumulate);

// c[m, n] (f32) += aᵀ b with a [k, m], b [k, n], both `dtype`: the gradient of a weight. Without `add`, c must be 0 and is written,
// which is faster.
void multiplyOuter(DType dtype, const void* a, const void* b, float* c, i64 m, i64 n, i64 k, bool add);

}  // namespace sod
