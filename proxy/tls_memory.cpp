#include "proxy/tls_memory.hpp"

#include <array>
#include <cstddef>
#include <cstdlib>

#include <malloc.h>
#include <openssl/crypto.h>

namespace rotagate::proxy::tls {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)

void pool_record_buffers() {}  // so that what is used after its end is noticed

#else

namespace {

// A record has 16 KiB at most (RFC 8446 section 5.1), its buffer some room for what stands around it. OpenSSL takes
// little else of such a size, and none of it often.
constexpr std::size_t smallest = std::size_t{16} * 1024, block_size = smallest + 1024;
// What the C library may round a block's size up by.
constexpr std::size_t rounding = 32;

/// Without a destructor: OpenSSL gives memory back to the very end of a thread.
struct Blocks {
    std::array<void*, 16> kept;
    std::size_t count;
};
constinit thread_local Blocks blocks{};

void* allocate(std::size_t size, const char*, int) {
    if (size <= smallest || size > block_size) return std::malloc(size);
    return blocks.count > 0 ? blocks.kept[--blocks.count] : std::malloc(block_size);
}

void* reallocate(void* memory, std::size_t size, const char*, int) { return std::realloc(memory, size); }

void free(void* memory, const char*, int) {
    const std::size_t size = ::malloc_usable_size(memory);  // 0 for null
    if (size >= block_size && size < block_size + rounding && blocks.count < blocks.kept.size()) {
        blocks.kept[blocks.count++] = memory;
    } else {
        std::free(memory);
    }
}

}  // namespace

void pool_record_buffers() { CRYPTO_set_mem_functions(allocate, reallocate, free); }

#endif

}  // namespace rotagate::proxy::tls
