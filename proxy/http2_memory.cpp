#include "proxy/http2_memory.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <new>

#include "proxy/pool.hpp"

namespace rotagate::proxy::http2 {
namespace {

/// Stands in front of each block, since nghttp2 does not tell how large what it gives back is.
struct alignas(std::max_align_t) BlockHead {
    std::size_t size;  ///< of the whole block
};

BlockHead* head_of(void* memory) { return static_cast<BlockHead*>(memory) - 1; }

// nghttp2 takes null for "no memory", and ends the connection.
void* allocate(std::size_t size, void*) noexcept try {
    const std::size_t whole = sizeof(BlockHead) + size;
    return new (pool::allocate(whole)) BlockHead{whole} + 1;
} catch (const std::bad_alloc&) {
    return nullptr;
}

void free(void* memory, void*) noexcept {
    if (memory) pool::free(head_of(memory), head_of(memory)->size);
}

void* allocate_zeros(std::size_t count, std::size_t size, void* user) noexcept {
    void* const memory = allocate(count * size, user);  // both are nghttp2's own, and small
    if (memory) std::memset(memory, 0, count * size);
    return memory;
}

void* reallocate(void* memory, std::size_t size, void* user) noexcept {
    void* const moved = allocate(size, user);
    if (moved && memory) {
        std::memcpy(moved, memory, std::min(size, head_of(memory)->size - sizeof(BlockHead)));
        free(memory, user);
    }
    return moved;
}

}  // namespace

nghttp2_mem* pooled_memory() {
    static nghttp2_mem memory{nullptr, &allocate, &free, &allocate_zeros, &reallocate};
    return &memory;
}

}  // namespace rotagate::proxy::http2
