#pragma once

#include <cstddef>
#include <memory>
#include <utility>

namespace rotagate::proxy {

/// A fixed block of bytes. Blocks of the two usual sizes come from a pool of the thread: a busy loop allocates none,
/// and an idle connection gives its own back.
class Buffer {
public:
    static constexpr std::size_t client_size = 16'384;    ///< what a client sends; also one TLS record and its frame
    static constexpr std::size_t upstream_size = 65'536;  ///< what an app sends: 16 KiB costs 2.4 times more at 1 MiB

    Buffer() = default;
    explicit Buffer(std::size_t size);
    Buffer(Buffer&& other) noexcept : data_(std::move(other.data_)), size_(std::exchange(other.size_, 0)) {}
    Buffer& operator=(Buffer&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~Buffer();

    char* data() const { return data_.get(); }
    std::size_t size() const { return size_; }
    explicit operator bool() const { return data_ != nullptr; }

private:
    std::unique_ptr<char[]> data_;
    std::size_t size_ = 0;
};

}  // namespace rotagate::proxy
