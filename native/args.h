// The one place where arguments from JavaScript are checked. Kernels take what passes here and check nothing themselves.
#pragma once
#include <napi.h>

#include <algorithm>
#include <initializer_list>
#include <string>

#include "blocks.h"
#include "product.h"
#include "tensor.h"

namespace sod {

// A dimension that several arguments share: the first one sets it, the others must agree.
struct Dim {
  const char* name;
  i64 value = -1;
  Dim(const char* name) : name(name) {}
  Dim(i64 fixed) : name(nullptr), value(fixed) {}
  operator i64() const { return value; }
};

inline std::string shapeText(const std::vector<i64>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); i++) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

class Args {
 public:
  Args(const Napi::CallbackInfo& info, const char* kernel) : info_(info), kernel_(kernel) {}

  [[noreturn]] void fail(const char* argument, const std::string& what) const {
    throw Napi::TypeError::New(info_.Env(), std::string(kernel_) + ": " + argument + " " + what);
  }

  // A tensor of one of these dtypes whose shape agrees with `dims`.
  Tensor& tensor(const char* argument, std::initializer_list<DType> dtypes, std::initializer_list<Dim*> dims) {
    Tensor& t = any(argument);
    if (std::find(dtypes.begin(), dtypes.end(), t.dtype) == dtypes.end()) {
      std::string allowed;
      for (DType d : dtypes) allowed += (allowed.empty() ? "" : " or ") + std::string(name(d));
      fail(argument, std::string("has dtype ") + name(t.dtype) + ", expected " + allowed);
    }
    bool agrees = t.shape.size() == dims.size();
    if (agrees) {
      size_t i = 0;
      for (Dim* dim : dims) {
        if (dim->value < 0) dim->value = t.shape[i];
        agrees &= dim->value == t.shape[i++];
      }
    }
    if (!agrees) {
      std::string expected;
      for (Dim* dim : dims) {
        if (!expected.empty()) expected += ", ";
        if (dim->name) expected += std::string(dim->name) + (dim->value >= 0 ? " = " : "");
        if (dim->value >= 0) expected += std::to_string(dim->value);
      }
      fail(argument, "has shape " + shapeText(t.shape) + ", expected [" + expected + "]");
    }
    return t;
  }

  Tensor* optionalTensor(const char* argument, std::initializer_list<DType> dtypes, std::initializer_list<Dim*> dims) {
    if (info_[at_].IsNull() || info_[at_].IsUndefined()) {
      at_++;
      return nullptr;
    }
    return &tensor(argument, dtypes, dims);
  }

  Tensor& any(const char* argument) {
    Resource* resource = resourceOf(argument);
    if (!resource->tensor) fail(argument, "is a weight, expected a tensor");
    return *resource->tensor;
  }

  PackedWeight& packed(const char* argument) {
    Resource* resource = resourceOf(argument);
    if (!resource->packed) fail(argument, "is not packed");
    return *resource->packed;
  }

  PackedWeight& packed(const char* argument, Direction direction) {
    PackedWeight& packed = this->packed(argument);
    if (packed.direction != direction) fail(argument, "is packed for the other direction");
    return packed;
  }

  std::shared_ptr<BlockMatrix> blocks(const char* argument) {
    Resource* resource = resourceOf(argument);
    if (!resource->blocks) fail(argument, "is not in blocks");
    return resource->blocks;
  }

  // The next argument if it is a matrix in blocks, or a packed weight; else null, and it is still the next.
  std::shared_ptr<BlockMatrix> optionalBlocks() {
    Resource* resource = nextResource();
    if (!resource || !resource->blocks) return nullptr;
    at_++;
    return resource->blocks;
  }
  PackedWeight* optionalPacked() {
    Resource* resource = nextResource();
    if (!resource || !resource->packed) return nullptr;
    at_++;
    return resource->packed.get();
  }

  double number(const char* argument) {
    const Napi::Value value = info_[at_++];
    if (!value.IsNumber()) fail(argument, "must be a number");
    return value.As<Napi::Number>().DoubleValue();
  }

  i64 integer(const char* argument, i64 least, i64 most = i64(1) << 40) {
    const double value = number(argument);
    if (value != double(i64(value)) || value < least || value > most)
      fail(argument, "must be an integer from " + std::to_string(least) + " to " + std::to_string(most));
    return i64(value);
  }

  bool boolean(const char* argument) {
    const Napi::Value value = info_[at_++];
    if (!value.IsBoolean()) fail(argument, "must be true or false");
    return value.As<Napi::Boolean>().Value();
  }

  // Every entry of an i32 tensor in [least, limit).
  void within(const char* argument, const Tensor& t, i64 least, i64 limit) const {
    const int32_t* p = t.as<int32_t>();
    for (i64 i = 0; i < t.size(); i++)
      if (p[i] < least || p[i] >= limit)
        fail(argument, "has " + std::to_string(p[i]) + " at " + std::to_string(i) + ", expected " + std::to_string(least) +
                           " to " + std::to_string(limit - 1));
  }

  void require(bool holds, const char* argument, const char* what) const {
    if (!holds) fail(argument, what);
  }
  // With a text that is made only when it is needed.
  template <typename Text, typename = decltype(std::declval<Text>()())>
  void require(bool holds, const char* argument, Text&& what) const {
    if (!holds) fail(argument, what());
  }

  const Napi::CallbackInfo& info() const { return info_; }
  Napi::Value next() { return info_[at_++]; }

 private:
  Resource* nextResource() const {
    const Napi::Value value = info_[at_];
    return value.IsNumber() ? findResource(value.As<Napi::Number>().DoubleValue()) : nullptr;
  }

  Resource* resourceOf(const char* argument) {
    Resource* resource = nextResource();
    at_++;
    if (!resource) fail(argument, "is not a live tensor (freed, or of another thread?)");
    return resource;
  }

  const Napi::CallbackInfo& info_;
  const char* kernel_;
  size_t at_ = 0;
};

// Exports a kernel; whatever it throws becomes a JavaScript error.
template <Napi::Value (*body)(Args&)>
void exportKernel(Napi::Env env, Napi::Object exports, const char* kernel) {
  const auto call = [](const Napi::CallbackInfo& info) -> Napi::Value {
    const char* kernel = static_cast<const char*>(info.Data());
    try {
      Args args(info, kernel);
      return body(args);
    } catch (const std::bad_alloc&) {
      throw Napi::Error::New(info.Env(), std::string(kernel) + ": out of memory");
    }
  };
  exports.Set(kernel, Napi::Function::New(env, call, kernel, const_cast<char*>(kernel)));
}

void exportTensor(Napi::Env, Napi::Object);
void exportBlocks(Napi::Env, Napi::Object);
void exportLinear(Napi::Env, Napi::Object);
void exportColumns(Napi::Env, Napi::Object);
void exportEmbedding(Napi::Env, Napi::Object);
void exportNorm(Napi::Env, Napi::Object);
void exportRope(Napi::Env, Napi::Object);
void exportAttention(Napi::Env, Napi::Object);
void exportCachedAttention(Napi::Env, Napi::Object);
void exportRows(Napi::Env, Napi::Object);
void exportSwiglu(Napi::Env, Napi::Object);
void exportLmHead(Napi::Env, Napi::Object);
void exportAdamw(Napi::Env, Napi::Object);
void exportSampling(Napi::Env, Napi::Object);

}  // namespace sod
