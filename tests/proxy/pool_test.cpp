#include "proxy/pool.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <thread>

#include <catch2/catch.hpp>

#include "proxy/http2_memory.hpp"

using namespace rotagate::proxy;

SCENARIO("memory of every size is there to be written, aligned, and nobody else's", "[pool]") {
    std::vector<std::pair<unsigned char*, std::size_t>> blocks;
    for (std::size_t size = 0; size < 20'000; size += 61) {
        auto* const block = static_cast<unsigned char*>(pool::allocate(size));
        CHECK(reinterpret_cast<std::uintptr_t>(block) % alignof(std::max_align_t) == 0);
        std::memset(block, static_cast<int>(size % 251), size);
        blocks.emplace_back(block, size);
    }
    for (const auto& [block, size] : blocks) {
        CHECK(std::all_of(block, block + size, [s = size](unsigned char byte) { return byte == s % 251; }));
        pool::free(block, size);
    }
}

#ifndef __SANITIZE_ADDRESS__
SCENARIO("what was given back last is used first", "[pool]") {
    void* const first = pool::allocate(1000);
    void* const second = pool::allocate(1000);
    pool::free(first, 1000);
    pool::free(second, 1000);
    CHECK(pool::allocate(1001) == second);
    CHECK(pool::allocate(990) == first);
    pool::free(first, 990);
    pool::free(second, 1001);
}
#endif

SCENARIO("memory may be given back by another thread, which may end before it is used again", "[pool]") {
    for (int i = 0; i < 3; ++i) {
        void* const memory = pool::allocate(500);
        std::thread([memory] { pool::free(memory, 500); }).join();
    }
}

SCENARIO("nghttp2 gets memory from the pool as the C library would give it", "[pool]") {
    const nghttp2_mem& memory = *http2::pooled_memory();
    auto* const zeros = static_cast<char*>(memory.calloc(10, 100, nullptr));
    CHECK(std::all_of(zeros, zeros + 1000, [](char c) { return c == 0; }));
    constexpr std::string_view kept = "kept";
    std::ranges::copy(kept, zeros);
    auto* larger = static_cast<char*>(memory.realloc(zeros, 50'000, nullptr));
    CHECK(std::string_view(larger, 4) == kept);
    CHECK(std::all_of(larger + 4, larger + 1000, [](char c) { return c == 0; }));
    larger = static_cast<char*>(memory.realloc(larger, 4, nullptr));
    CHECK(std::string_view(larger, 4) == kept);
    memory.free(larger, nullptr);
    memory.free(nullptr, nullptr);
    memory.free(memory.realloc(nullptr, 10, nullptr), nullptr);
}
