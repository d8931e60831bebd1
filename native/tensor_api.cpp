// Making, filling, reading and freeing tensors; memory statistics; the CPU's abilities.
#include "args.h"
#include "threads.h"
#include "tile.h"

namespace sod {
namespace {

DType dtypeNamed(Args& args, const char* argument) {
  const Napi::Value value = args.next();
  const std::string text = value.IsString() ? value.As<Napi::String>().Utf8Value() : "";
  if (text == "f32") return DType::f32;
  if (text == "bf16") return DType::bf16;
  if (text == "i32") return DType::i32;
  args.fail(argument, "must be f32, bf16 or i32");
}

std::vector<i64> shapeOf(Args& args, const char* argument) {
  const Napi::Value value = args.next();
  args.require(value.IsArray(), argument, "must be an array of sizes");
  const auto array = value.As<Napi::Array>();
  args.require(array.Length() <= 4, argument, "has more than 4 dimensions");
  std::vector<i64> shape;
  double elements = 1;
  for (uint32_t i = 0; i < array.Length(); i++) {
    const Napi::Value value = array.Get(i);
    const double d = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
    args.require(d >= 0 && d < 1e12 && d == double(i64(d)), argument, "must hold integers from 0");
    shape.push_back(i64(d));
    elements *= d;
  }
  args.require(elements < 1e11, argument, "is too large");
  return shape;
}

Napi::Value idOf(Args& args, Tensor t) {
  Resource resource;
  resource.tensor = std::make_unique<Tensor>(std::move(t));
  return Napi::Number::New(args.info().Env(), addResource(std::move(resource)));
}

// allocate(dtype, shape): its contents are undefined.
Napi::Value allocate(Args& args) {
  const DType dtype = dtypeNamed(args, "dtype");
  return idOf(args, makeTensor(dtype, shapeOf(args, "shape")));
}

// view(tensor, offset, shape): `shape` elements from `offset` on, sharing memory with `tensor`.
Napi::Value view(Args& args) {
  Tensor part = args.any("tensor");
  const i64 size = part.size();
  const i64 offset = args.integer("offset", 0, size);
  part.shape = shapeOf(args, "shape");
  args.require(offset + part.size() <= size, "shape", "reaches beyond the tensor");
  part.bytes += size_t(offset) * bytesOf(part.dtype);
  return idOf(args, std::move(part));
}

Napi::Value release(Args& args) {
  freeResource(args.number("id"));
  return args.info().Env().Undefined();
}

Napi::Value zero(Args& args) {
  Tensor& t = args.any("tensor");
  const i64 bytes = t.size() * bytesOf(t.dtype), block = 1 << 16;
  parallelFor((bytes + block - 1) / block, block, [&](i64 i) {
    std::memset(t.bytes + i * block, 0, std::min(block, bytes - i * block));
  });
  return args.info().Env().Undefined();
}

// write(tensor, typedArray): Float32Array into f32 or bf16, Int32Array into i32, Uint16Array (raw bits) into bf16.
Napi::Value write(Args& args) {
  Tensor& t = args.any("tensor");
  const Napi::Value value = args.next();
  args.require(value.IsTypedArray(), "data", "must be a typed array");
  const auto array = value.As<Napi::TypedArray>();
  args.require(i64(array.ElementLength()) == t.size(), "data",
               [&] { return "has " + std::to_string(array.ElementLength()) + " elements, the tensor " + std::to_string(t.size()); });
  void* from = nullptr;  // not by way of its ArrayBuffer, which may be a shared one
  napi_get_typedarray_info(array.Env(), array, nullptr, nullptr, &from, nullptr, nullptr);
  const auto type = array.TypedArrayType();
  if ((type == napi_float32_array && t.dtype == DType::f32) || (type == napi_int32_array && t.dtype == DType::i32) ||
      (type == napi_uint16_array && t.dtype == DType::bf16)) {
    std::memcpy(t.bytes, from, t.size() * bytesOf(t.dtype));
  } else if (type == napi_float32_array && t.dtype == DType::bf16) {
    const float* f = static_cast<const float*>(from);
    bf16* to = t.as<bf16>();
    parallelFor((t.size() + 4095) / 4096, 4096, [&](i64 block) {
      for (i64 i = block * 4096; i < std::min(t.size(), block * 4096 + 4096); i++) to[i] = fromFloat<bf16>(f[i]);
    });
  } else {
    args.fail("data", std::string("does not fit dtype ") + name(t.dtype));
  }
  return args.info().Env().Undefined();
}

// read(tensor) → Float32Array (f32, bf16) or Int32Array (i32), a copy.
Napi::Value read(Args& args) {
  Tensor& t = args.any("tensor");
  const Napi::Env env = args.info().Env();
  if (t.dtype == DType::i32) {
    auto out = Napi::Int32Array::New(env, t.size());
    std::memcpy(out.Data(), t.bytes, t.size() * 4);
    return out;
  }
  auto out = Napi::Float32Array::New(env, t.size());
  float* to = out.Data();
  if (t.dtype == DType::f32) {
    std::memcpy(to, t.bytes, t.size() * 4);
  } else {
    const bf16* from = t.as<bf16>();
    for (i64 i = 0; i < t.size(); i++) to[i] = toFloat(from[i]);
  }
  return out;
}

// convert(y, x): same elements, f32 or bf16 each.
Napi::Value convert(Args& args) {
  Tensor& y = args.any("y");
  Tensor& x = args.any("x");
  args.require(y.dtype != DType::i32, "y", "has dtype i32, expected f32 or bf16");
  args.require(x.dtype != DType::i32, "x", "has dtype i32, expected f32 or bf16");
  args.require(x.size() == y.size(), "x", [&] { return "has shape " + shapeText(x.shape) + ", y " + shapeText(y.shape); });
  withType(y.dtype, [&](auto toZero) {
    withType(x.dtype, [&](auto fromZero) {
      using To = decltype(toZero);
      using From = decltype(fromZero);
      To* to = y.as<To>();
      const From* from = x.as<From>();
      const i64 size = y.size();
      parallelFor((size + 4095) / 4096, 4096, [=](i64 block) {
        const i64 end = std::min(size, block * 4096 + 4096);
        for (i64 i = block * 4096; i < end; i++) to[i] = fromFloat<To>(toFloat(from[i]));
      });
    });
  });
  return args.info().Env().Undefined();
}

Napi::Value memory(Args& args) {
  const MemoryStats stats = memoryStats();
  auto out = Napi::Object::New(args.info().Env());
  out.Set("liveBytes", double(stats.liveBytes));
  out.Set("pooledBytes", double(stats.pooledBytes));
  out.Set("resources", double(stats.resources));
  return out;
}

Napi::Value trim(Args& args) {
  trimMemory();
  return args.info().Env().Undefined();
}

// cpu() → { isa: what the kernels were compiled for, bf16: whether that multiplies bf16, threads: as many as kernels use now }
Napi::Value cpu(Args& args) {
  auto out = Napi::Object::New(args.info().Env());
  out.Set("isa", isa);
  out.Set("bf16", std::is_same_v<Factor<bf16>, bf16>);
  out.Set("threads", threadCount());
  return out;
}

Napi::Value setThreads(Args& args) {
  setThreadCount(args.integer("threads", 1, 1024));
  return args.info().Env().Undefined();
}

}  // namespace

void exportTensor(Napi::Env env, Napi::Object exports) {
  exportKernel<allocate>(env, exports, "allocate");
  exportKernel<view>(env, exports, "view");
  exportKernel<release>(env, exports, "release");
  exportKernel<zero>(env, exports, "zero");
  exportKernel<write>(env, exports, "write");
  exportKernel<read>(env, exports, "read");
  exportKernel<convert>(env, exports, "convert");
  exportKernel<memory>(env, exports, "memory");
  exportKernel<trim>(env, exports, "trim");
  exportKernel<cpu>(env, exports, "cpu");
  exportKernel<setThreads>(env, exports, "setThreads");
}

}  // namespace sod
