#pragma once

#include <nghttp2/nghttp2.h>

namespace rotagate::proxy::http2 {

/// Has nghttp2 take its memory, a dozen blocks for each stream, from the pool of the thread.
nghttp2_mem* pooled_memory();

}  // namespace rotagate::proxy::http2
