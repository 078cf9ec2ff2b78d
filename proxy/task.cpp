#include "proxy/task.hpp"

#include <array>
#include <new>

#include <spdlog/spdlog.h>

namespace rotagate::proxy {
namespace {

constexpr std::size_t step = 64, classes = 64;  // frames of up to 4 KiB; larger ones are not pooled
#ifdef __SANITIZE_ADDRESS__
constexpr unsigned kept = 0;  // so that what is used after its end is noticed
#else
constexpr unsigned kept = 512;  // of each size
#endif

/// Frames that have ended, in one list for each size.
class Pool {
public:
    ~Pool() {
        for (List& list : lists_)
            while (list.first) ::operator delete(take(list));
    }
    void* allocate(std::size_t size) {
        const std::size_t index = (size - 1) / step;
        if (index >= classes) return ::operator new(size);
        List& list = lists_[index];
        return list.first ? take(list) : ::operator new((index + 1) * step);
    }
    void free(void* frame, std::size_t size) {
        const std::size_t index = (size - 1) / step;
        if (index >= classes || lists_[index].length >= kept) return ::operator delete(frame);
        List& list = lists_[index];
        list.first = new (frame) Free{list.first};
        ++list.length;
    }

private:
    struct Free {
        Free* next;
    };
    struct List {
        Free* first = nullptr;
        unsigned length = 0;
    };
    static void* take(List& list) {
        --list.length;
        return std::exchange(list.first, list.first->next);
    }

    std::array<List, classes> lists_;
};

Pool& pool() {
    thread_local Pool frames;
    return frames;
}

}  // namespace

void* detail::PooledFrame::operator new(std::size_t size) { return pool().allocate(size); }
void detail::PooledFrame::operator delete(void* frame, std::size_t size) { pool().free(frame, size); }

/// The coroutine that awaits a task for nobody.
struct Tasks::Root {
    struct promise_type : detail::PooledFrame, Link {
        promise_type(Tasks& tasks, const Task<>&) {
            frame = std::coroutine_handle<promise_type>::from_promise(*this);
            tasks.running_.push_back(*this);
        }
        Root get_return_object() const noexcept { return {}; }
        std::suspend_never initial_suspend() const noexcept { return {}; }
        std::suspend_never final_suspend() const noexcept { return {}; }
        void return_void() const noexcept {}
        void unhandled_exception() const noexcept try { throw; } catch (const std::exception& failure) {
            spdlog::error("task.failed error=\"{}\"", failure.what());
        }
    };
};

Tasks::Root Tasks::run(Tasks&, Task<> task) { co_await task; }

void Tasks::start(Task<> task) { run(*this, std::move(task)); }

Tasks::~Tasks() {
    while (!running_.empty()) running_.front().frame.destroy();
}

}  // namespace rotagate::proxy
