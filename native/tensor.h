// Native tensors: memory with a shape, named by a number on the JavaScript side.
// Every JavaScript thread has tensors, memory pool and statistics of its own; they end with the thread.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace sod {

using i64 = int64_t;

struct bf16 {
  uint16_t bits;
};

enum class DType : uint8_t { f32, bf16, i32 };

const char* name(DType dtype);
size_t bytesOf(DType dtype);

// A run of 64-byte aligned memory from this thread's pool; it goes back there when the last owner lets go.
class Storage {
 public:
  explicit Storage(size_t bytes);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  void* data() const { return data_; }

 private:
  void* data_;
  size_t bytes_;
};

struct Tensor {
  std::shared_ptr<Storage> storage;
  char* bytes = nullptr;
  DType dtype = DType::f32;
  std::vector<i64> shape;

  i64 size() const;
  i64 rows() const { return shape.empty() ? 1 : shape[0]; }
  template <typename T>
  T* as() const {
    return reinterpret_cast<T*>(bytes);
  }
};

struct PackedWeight;  // product.h
struct BlockMatrix;   // blocks.h

// What a number on the JavaScript side stands for: a tensor, a packed weight or a matrix in blocks.
struct Resource {
  std::unique_ptr<Tensor> tensor;
  std::unique_ptr<PackedWeight> packed;
  std::shared_ptr<BlockMatrix> blocks;
};

double addResource(Resource resource);
Resource* findResource(double id);  // null when there is none (any more)
void freeResource(double id);

struct MemoryStats {
  size_t liveBytes, pooledBytes, resources;
};
MemoryStats memoryStats();
void trimMemory();  // returns pooled memory to the system

Tensor makeTensor(DType dtype, std::vector<i64> shape);

// f32 or bf16 code for the activations' dtype: `withType(x.dtype, [&](auto zero) { using T = decltype(zero); … })`.
template <typename F>
void withType(DType dtype, F&& body) {
  if (dtype == DType::bf16)
    body(bf16{});
  else
    body(float{});
}

}  // namespace sod
