#include "proxy/buffer.hpp"

#include <vector>

namespace rotagate::proxy {
namespace {

// Enough for a burst; what is beyond goes back to the system.
constexpr std::size_t kept_blocks = 256;
// Blocks whose distance is a power of two would all begin in the same few sets of the processor's caches.
constexpr std::size_t stagger = std::size_t{9} * 64;

struct BlockPool {
    std::vector<std::unique_ptr<char[]>> client, upstream;
};

std::vector<std::unique_ptr<char[]>>* pool_for(std::size_t size) {
#ifdef __SANITIZE_ADDRESS__
    return nullptr;  // a block that is given back and looked into all the same shall be noticed
#endif
    thread_local BlockPool pool;
    if (size == Buffer::client_size) return &pool.client;
    if (size == Buffer::upstream_size) return &pool.upstream;
    return nullptr;
}

}  // namespace

Buffer::Buffer(std::size_t size) : size_(size) {
    if (auto* pool = pool_for(size); pool && !pool->empty()) {
        data_ = std::move(pool->back());
        pool->pop_back();
    } else {
        data_ = std::make_unique_for_overwrite<char[]>(size + stagger);
    }
}

Buffer::~Buffer() {
    if (!data_) return;
    if (auto* pool = pool_for(size_); pool && pool->size() < kept_blocks) pool->push_back(std::move(data_));
}

}  // namespace rotagate::proxy
