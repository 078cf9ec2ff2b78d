#pragma once

#include <utility>

#include <sys/resource.h>
#include <unistd.h>

namespace rotagate::proxy {

/// A file descriptor that is closed with its owner.
class Descriptor {
public:
    explicit Descriptor(int descriptor = -1) : descriptor_(descriptor) {}
    Descriptor(Descriptor&& other) noexcept : descriptor_(other.release()) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(descriptor_, other.descriptor_);
        return *this;
    }
    ~Descriptor() {
        if (descriptor_ >= 0) ::close(descriptor_);
    }

    int get() const { return descriptor_; }  ///< -1: none
    /// It is the caller's from here on.
    int release() { return std::exchange(descriptor_, -1); }

private:
    int descriptor_;
};

/// Lets this process have as many descriptors as the system grants it.
inline void raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);  // where this is refused, what there is has to do
}

}  // namespace rotagate::proxy
