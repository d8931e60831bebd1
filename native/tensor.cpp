#include "tensor.h"

#include <sys/mman.h>

#include <cstdlib>
#include <map>
#include <new>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "blocks.h"
#include "product.h"

namespace sod {

const char* name(DType dtype) {
  return dtype == DType::f32 ? "f32" : dtype == DType::bf16 ? "bf16" : "i32";
}

size_t bytesOf(DType dtype) { return dtype == DType::bf16 ? 2 : 4; }

namespace {

constexpr size_t hugePage = size_t(2) << 20;

// Freed memory by size, kept for the next tensor of that size: a training step asks for the same sizes again and
// again, and fresh pages from the system cost more than most kernels.
struct Pool {
  std::map<size_t, std::vector<void*>> free;
  size_t liveBytes = 0, pooledBytes = 0;

  // Sizes in steps of an eighth of their power of two, so that nearly equal tensors share memory.
  static size_t rounded(size_t bytes) {
    size_t step = 64;
    while (step * 16 < bytes) step *= 2;
    return (bytes + step - 1) / step * step;
  }

  void* take(size_t bytes) {
    auto& list = free[bytes];
    liveBytes += bytes;
    if (!list.empty()) {
      void* data = list.back();
      list.pop_back();
      pooledBytes -= bytes;
      return data;
    }
    const bool large = bytes >= hugePage;
    void* data = nullptr;
    if (posix_memalign(&data, large ? hugePage : 64, bytes) != 0) {
      trim();
      if (posix_memalign(&data, large ? hugePage : 64, bytes) != 0) {
        liveBytes -= bytes;
        throw std::bad_alloc();
      }
    }
    if (large) madvise(data, bytes, MADV_HUGEPAGE);
    return data;
  }

  void give(void* data, size_t bytes) {
    free[bytes].push_back(data);
    liveBytes -= bytes;
    pooledBytes += bytes;
  }

  void trim() {
    for (auto& [bytes, list] : free) {
      for (void* data : list) std::free(data);
      pooledBytes -= bytes * list.size();
      list.clear();
    }
  }

  ~Pool() { trim(); }
};

thread_local Pool pool;

// An id is slot + generation · 2^24: a freed tensor's id never names its successor.
constexpr double generationUnit = 1 << 24;
struct Slot {
  Resource resource;
  uint32_t generation = 0;
  bool used = false;
};
struct Table {
  std::vector<Slot> slots;
  std::vector<uint32_t> vacant;
};
thread_local Table table;

Slot* findSlot(double id) {
  if (!(id >= 0) || id >= 9e15) return nullptr;
  const auto whole = static_cast<uint64_t>(id);
  if (double(whole) != id) return nullptr;
  const auto index = whole & 0xffffff;
  if (index >= table.slots.size()) return nullptr;
  Slot& slot = table.slots[index];
  return slot.used && slot.generation == whole >> 24 ? &slot : nullptr;
}

}  // namespace

Storage::Storage(size_t bytes) : bytes_(Pool::rounded(bytes ? bytes : 1)) { data_ = pool.take(bytes_); }
Storage::~Storage() { pool.give(data_, bytes_); }

i64 Tensor::size() const {
  i64 n = 1;
  for (i64 d : shape) n *= d;
  return n;
}

Tensor makeTensor(DType dtype, std::vector<i64> shape) {
  Tensor t;
  t.dtype = dtype;
  t.shape = std::move(shape);
  t.storage = std::make_shared<Storage>(size_t(t.size()) * bytesOf(dtype));
  t.bytes = static_cast<char*>(t.storage->data());
  return t;
}

double addResource(Resource resource) {
  uint32_t index;
  if (table.vacant.empty()) {
    index = table.slots.size();
    table.slots.emplace_back();
  } else {
    index = table.vacant.back();
    table.vacant.pop_back();
  }
  Slot& slot = table.slots[index];
  slot.resource = std::move(resource);
  slot.used = true;
  return slot.generation * generationUnit + index;
}

Resource* findResource(double id) {
  Slot* slot = findSlot(id);
  return slot ? &slot->resource : nullptr;
}

void freeResource(double id) {
  Slot* slot = findSlot(id);
  if (!slot) return;
  slot->resource = Resource();
  slot->used = false;
  slot->generation++;
  table.vacant.push_back(static_cast<uint64_t>(id) & 0xffffff);
}

MemoryStats memoryStats() {
  return {pool.liveBytes, pool.pooledBytes, table.slots.size() - table.vacant.size()};
}

void trimMemory() {
  pool.trim();
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

}  // namespace sod
