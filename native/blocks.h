// Matrices whose values stay in blocks of few bits with a scale each, as GGML stores them (ggml-quants.c).
#pragma once
#include "tensor.h"

namespace sod {

// How a type of GGML stores `values` numbers in `bytes` bytes.
struct BlockFormat {
  i64 values, bytes;
  void (*decode)(const uint8_t* from, i64 count, float* to);  // count: of numbers, which fill whole blocks
};

// By its number in GGUF files; null where it is not read here.
const BlockFormat* blockFormat(i64 type);

// Rows of several formats one below another.
struct BlockMatrix {
  struct Part {
    i64 firstRow, rows;
    const BlockFormat* format;
    i64 rowBytes;
    std::shared_ptr<Storage> storage;
    uint8_t* row(i64 r) const { return static_cast<uint8_t*>(storage->data()) + (r - firstRow) * rowBytes; }
  };
  DType dtype;  // what its values are rounded to
  i64 rows = 0, columns;
  std::vector<Part> parts;

  const Part& partOf(i64 row) const;
  // to[count][columns] = rows `first`…
  template <typename T>
  void take(T* to, i64 first, i64 count) const;
};

}  // namespace sod
