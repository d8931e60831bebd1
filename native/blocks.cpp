#include "blocks.h"

#include "args.h"
#include "block.h"

namespace sod {
namespace {

uint16_t bitsAt(const uint8_t* from) {
  uint16_t bits;
  std::memcpy(&bits, from, 2);
  return bits;
}

float floatOf(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

// IEEE half precision. What is shifted into place has an exponent that is 112 too small.
float half(const uint8_t* from) {
  const uint32_t bits = bitsAt(from), magnitude = (bits & 0x7fff) << 13;
  const bool finite = (bits & 0x7c00) != 0x7c00;
  const float value = finite ? floatOf(magnitude) * 0x1p112f : floatOf(magnitude | 0x7f800000);
  return bits & 0x8000 ? -value : value;
}

// Every product below has few enough bits to be exact, so that only the last sum is rounded.

void decodeF32(const uint8_t* from, i64 count, float* to) { std::memcpy(to, from, count * 4); }

void decodeF16(const uint8_t* from, i64 count, float* to) {
  for (i64 i = 0; i < count; i++) to[i] = half(from + i * 2);
}

void decodeBf16(const uint8_t* from, i64 count, float* to) {
  for (i64 i = 0; i < count; i++) to[i] = toFloat(bf16{bitsAt(from + i * 2)});
}

void decodeQ8_0(const uint8_t* from, i64 count, float* to) {
  for (i64 at = 0; at < count; at += 32, from += 34) {
    const float scale = half(from);
    const auto* values = reinterpret_cast<const int8_t*>(from + 2);
    for (i64 i = 0; i < 32; i++) to[at + i] = scale * float(values[i]);
  }
}

void decodeQ4_0(const uint8_t* from, i64 count, float* to) {
  for (i64 at = 0; at < count; at += 32, from += 18) {
    const float scale = half(from);
    const uint8_t* pairs = from + 2;
    for (i64 i = 0; i < 16; i++) to[at + i] = scale * float((pairs[i] & 15) - 8);
    for (i64 i = 0; i < 16; i++) to[at + 16 + i] = scale * float((pairs[i] >> 4) - 8);
  }
}

void decodeQ4_1(const uint8_t* from, i64 count, float* to) {
  for (i64 at = 0; at < count; at += 32, from += 20) {
    const float scale = half(from), least = half(from + 2);
    const uint8_t* pairs = from + 4;
    for (i64 i = 0; i < 16; i++) to[at + i] = scale * float(pairs[i] & 15) + least;
    for (i64 i = 0; i < 16; i++) to[at + 16 + i] = scale * float(pairs[i] >> 4) + least;
  }
}

// Eight runs of 32, whose scales and least values have 6 bits each.
void decodeQ4_K(const uint8_t* from, i64 count, float* to) {
  for (i64 at = 0; at < count; at += 256, from += 144) {
    const float scale = half(from), least = half(from + 2);
    const uint8_t* sixes = from + 4;
    for (int run = 0; run < 8; run++) {
      const int own = run < 4 ? sixes[run] & 63 : (sixes[run + 4] & 15) | (sixes[run - 4] >> 6) << 4;
      const int ownLeast = run < 4 ? sixes[run + 4] & 63 : sixes[run + 4] >> 4 | (sixes[run] >> 6) << 4;
      const float factor = scale * float(own), below = least * float(ownLeast);
      const uint8_t* pairs = from + 16 + run / 2 * 32;
      const int shift = run % 2 * 4;
      for (i64 i = 0; i < 32; i++) to[at + run * 32 + i] = factor * float(pairs[i] >> shift & 15) - below;
    }
  }
}

// Sixteen runs of 16; four low bits of each value are in one place, its two high bits in another.
void decodeQ6_K(const uint8_t* from, i64 count, float* to) {
  for (i64 at = 0; at < count; at += 256, from += 210) {
    const float scale = half(from + 208);
    const auto* own = reinterpret_cast<const int8_t*>(from + 192);
    for (int run = 0; run < 16; run++) {
      const int side = run / 8, quarter = run / 2 % 4, place = run % 2 * 16;
      const uint8_t* low = from + side * 64 + quarter % 2 * 32 + place;
      const uint8_t* high = from + 128 + side * 32 + place;
      const int lowShift = quarter / 2 * 4, highShift = quarter * 2;
      const float factor = scale * float(own[run]);
      for (i64 i = 0; i < 16; i++)
        to[at + run * 16 + i] = factor * float(((low[i] >> lowShift & 15) | (high[i] >> highShift & 3) << 4) - 32);
    }
  }
}

}  // namespace

const BlockFormat* blockFormat(i64 type) {
  static const std::pair<i64, BlockFormat> formats[] = {
      {0, {1, 4, decodeF32}},     {1, {1, 2, decodeF16}},      {2, {32, 18, decodeQ4_0}},    {3, {32, 20, decodeQ4_1}},
      {8, {32, 34, decodeQ8_0}},  {12, {256, 144, decodeQ4_K}}, {14, {256, 210, decodeQ6_K}}, {30, {1, 2, decodeBf16}},
  };
  for (const auto& [number, format] : formats)
    if (number == type) return &format;
  return nullptr;
}

const BlockMatrix::Part& BlockMatrix::partOf(i64 row) const {
  size_t p = 0;
  while (row >= parts[p].firstRow + parts[p].rows) p++;
  return parts[p];
}

template <typename T>
void BlockMatrix::take(T* to, i64 first, i64 count) const {
  constexpr i64 step = 256;  // whole blocks of every format
  float values[step];
  for (i64 r = 0; r < count; r++) {
    const Part& part = partOf(first + r);
    const uint8_t* from = part.row(first + r);
    for (i64 j = 0; j < columns; j += step) {
      const i64 n = std::min(step, columns - j);
      part.format->decode(from + j / part.format->values * part.format->bytes, n, values);
      for (i64 i = 0; i < n; i++) to[r * columns + j + i] = fromFloat<T>(values[i]);
    }
  }
}
template void BlockMatrix::take(float*, i64, i64) const;
template void BlockMatrix::take(bf16*, i64, i64) const;

namespace {

const BlockFormat& formatOf(Args& args, const char* argument, i64 type) {
  const BlockFormat* format = blockFormat(type);
  args.require(format, argument, "has a type of GGML that is not read here");
  return *format;
}

// The bytes of a typed array of one type.
std::pair<uint8_t*, size_t> arrayOf(Args& args, const char* argument, napi_typedarray_type type) {
  const Napi::Value value = args.next();
  args.require(value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == type, argument, "is another kind of array");
  void* data = nullptr;  // not by way of its ArrayBuffer, which may be a shared one
  napi_get_typedarray_info(args.info().Env(), value, nullptr, nullptr, &data, nullptr, nullptr);
  return {static_cast<uint8_t*>(data), value.As<Napi::TypedArray>().ByteLength()};
}

// blockMatrix(bf16?, columns, parts i32 [type, rows, …]) → id; the blocks are undefined until they are written
Napi::Value blockMatrix(Args& args) {
  auto matrix = std::make_unique<BlockMatrix>();
  matrix->dtype = args.boolean("bf16") ? DType::bf16 : DType::f32;
  matrix->columns = args.integer("columns", 1, 1 << 24);
  const auto [data, size] = arrayOf(args, "parts", napi_int32_array);
  const auto* pairs = reinterpret_cast<const int32_t*>(data);
  const i64 numbers = size / sizeof(int32_t);
  args.require(numbers > 0 && numbers % 2 == 0, "parts", "are no pairs");
  for (i64 i = 0; i < numbers; i += 2) {
    const BlockFormat& format = formatOf(args, "parts", pairs[i]);
    const i64 rows = pairs[i + 1];
    args.require(matrix->columns % format.values == 0, "columns", "are no whole blocks");
    args.require(rows > 0, "parts", "have no rows");
    const i64 rowBytes = matrix->columns / format.values * format.bytes;
    matrix->parts.push_back({matrix->rows, rows, &format, rowBytes, std::make_shared<Storage>(rows * rowBytes)});
    matrix->rows += rows;
  }
  Resource resource;
  resource.blocks = std::move(matrix);
  return Napi::Number::New(args.info().Env(), addResource(std::move(resource)));
}

// writeBlocks(matrix, firstRow, bytes): whole rows of one part
Napi::Value writeBlocks(Args& args) {
  const auto matrix = args.blocks("matrix");
  const i64 first = args.integer("firstRow", 0, matrix->rows - 1);
  const auto [from, size] = arrayOf(args, "bytes", napi_uint8_array);
  const BlockMatrix::Part& part = matrix->partOf(first);
  args.require(i64(size) % part.rowBytes == 0 && first + i64(size) / part.rowBytes <= part.firstRow + part.rows, "bytes", "are no whole rows of one part");
  std::memcpy(part.row(first), from, size);
  return args.info().Env().Undefined();
}

}  // namespace

void exportBlocks(Napi::Env env, Napi::Object exports) {
  exportKernel<blockMatrix>(env, exports, "blockMatrix");
  exportKernel<writeBlocks>(env, exports, "writeBlocks");
}

}  // namespace sod
