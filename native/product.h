// Products with weights: packed once per update, in panels that the micro-kernel reads from front to back.
#pragma once
#include <memory>

#include "tensor.h"

namespace sod {

// forward: y = x Wᵀ; backward: dx = dy W.
enum class Direction { forward, backward };

// A weight W [rows, columns] as the right-hand side [k, n] of a product, split by rows into chunks (the LM head's vocabulary; one
// chunk elsewhere).
struct PackedWeight {
  Direction direction;
  DType dtype;
  i64 rows, columns, chunkRows;
  struct Chunk {
    i64 firstRow, rows;
    std::shared_ptr<Storage> panels;  // panel by panel of columns, each [k / lanes][its columns][lanes], padded with zeros
  };
  std::vector<Chunk> chunks;
  // What panels are made of when they are needed, where none are kept: blocks, or the panels of the other direction.
  std::shared_ptr<const BlockMatrix> blocks;
  std::shared_ptr<const PackedWeight> forward;
};

PackedWeight packWeight(const Tensor& w, DType dtype, Direction direction, i64 chunkRows);
PackedWeight packWeight(std::shared_ptr<const BlockMatrix> w, Direction direction, i64 chunkRows);
// The backward direction of a weight whose panels are kept in the forward one alone.
PackedWeight packBackward(const PackedWeight& forward);
// Brings both packings of a weight, cut in the same chunks, up to date with it: w is f32.
void repackWeight(PackedWeight& forward, PackedWeight& backward, const Tensor& w);

// A chunk as the right-hand side [k, n] of products. Panels that are made of blocks go with the last who has them.
struct Panels {
  DType dtype;
  i64 k, n;
  std::shared_ptr<Storage> storage;
};
Panels panelsOf(const PackedWeight& packed, const PackedWeight::Chunk& chunk);

// to[count][columns] = rows `first`… of a weight that is packed forward; they are of one chunk.
template <typename T>
void takeRows(T* to, const PackedWeight& packed, i64 first, i64 count);

// Rows in memory, `stride` elements from one to the next: those of a matrix, or some columns of it.
struct Rows {
  char* bytes;
  i64 stride;
};

// y[m, n] (+)= x[m, k] · panels; x has their dtype.
void multiplyPacked(const Panels& panels, Rows x, i64 m, Rows y, DType yType, bool accumulate);

// c[m, n] (f32) (+)= aᵀ b with a [k, m], b [k, n], both `dtype`: the gradient of a weight.
void multiplyOuter(DType dtype, Rows a, Rows b, float* c, i64 m, i64 n, i64 k, bool add);

}  // namespace sod
