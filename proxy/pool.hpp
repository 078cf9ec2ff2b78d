#pragma once

#include <cstddef>
#include <string>
#include <vector>

/// Memory that a thread takes and gives back many times for each request, without asking the C library each time: what
/// was given back last is used first, and is still in the processor's cache.
namespace rotagate::proxy::pool {

/// Memory of `size` bytes, aligned for anything. Throws std::bad_alloc.
void* allocate(std::size_t size);
/// Gives it back, on whatever thread. @param size  as it was asked for
void free(void* memory, std::size_t size) noexcept;

/// A class whose objects come from the pool.
struct Pooled {
    static void* operator new(std::size_t size) { return allocate(size); }
    static void operator delete(void* object, std::size_t size) { free(object, size); }
};

template <class T>
struct Allocator {
    using value_type = T;

    Allocator() = default;
    template <class U>
    Allocator(const Allocator<U>&) noexcept {}
    T* allocate(std::size_t count) { return static_cast<T*>(pool::allocate(count * sizeof(T))); }
    void deallocate(T* objects, std::size_t count) noexcept { pool::free(objects, count * sizeof(T)); }
    bool operator==(const Allocator&) const = default;
};

using String = std::basic_string<char, std::char_traits<char>, Allocator<char>>;
template <class T>
using Vector = std::vector<T, Allocator<T>>;

}  // namespace rotagate::proxy::pool
