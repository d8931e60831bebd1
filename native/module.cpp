#include <napi.h>

#include "args.h"

static Napi::Object init(Napi::Env env, Napi::Object exports) {
  using namespace sod;
  exportTensor(env, exports);
  exportBlocks(env, exports);
  exportLinear(env, exports);
  exportColumns(env, exports);
  exportEmbedding(env, exports);
  exportNorm(env, exports);
  exportRope(env, exports);
  exportAttention(env, exports);
  exportCachedAttention(env, exports);
  exportRows(env, exports);
  exportSwiglu(env, exports);
  exportLmHead(env, exports);
  exportAdamw(env, exports);
  exportSampling(env, exports);
  return exports;
}

NODE_API_MODULE(sod, init)
