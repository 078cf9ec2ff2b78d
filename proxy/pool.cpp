#include "proxy/pool.hpp"

#include <array>
#include <new>
#include <utility>

namespace rotagate::proxy::pool {
namespace {

// Larger ones are rare, and are the C library's.
constexpr std::size_t step = 64, largest = std::size_t{8} * 1024;
constexpr std::size_t most_kept = std::size_t{16} * 1024 * 1024;  // of a thread, whatever the sizes
#ifdef __SANITIZE_ADDRESS__
constexpr bool pools = false;  // so that what is used after its end, or beyond it, is noticed
#else
constexpr bool pools = true;
#endif

/// What was given back, in one list for each size.
class Blocks {
public:
    ~Blocks() {
        for (Block*& list : lists_)
            while (list) ::operator delete(take(list));
    }
    void* allocate(std::size_t index) {
        Block*& list = lists_[index];
        if (!list) return ::operator new((index + 1) * step);
        kept_ -= (index + 1) * step;
        return take(list);
    }
    void free(void* memory, std::size_t index) noexcept {
        const std::size_t size = (index + 1) * step;
        if (kept_ + size > most_kept) return ::operator delete(memory);
        kept_ += size;
        lists_[index] = new (memory) Block{lists_[index]};
    }

private:
    struct Block {
        Block* next;
    };
    static void* take(Block*& list) { return std::exchange(list, list->next); }

    std::array<Block*, largest / step> lists_{};
    std::size_t kept_ = 0;
};

Blocks& blocks() {
    thread_local Blocks of_this_thread;
    return of_this_thread;
}

std::size_t index_of(std::size_t size) { return size == 0 ? 0 : (size - 1) / step; }

}  // namespace

void* allocate(std::size_t size) {
    if (!pools || size > largest) return ::operator new(size);
    return blocks().allocate(index_of(size));
}

void free(void* memory, std::size_t size) noexcept {
    if (!pools || size > largest) return ::operator delete(memory);
    blocks().free(memory, index_of(size));
}

}  // namespace rotagate::proxy::pool
