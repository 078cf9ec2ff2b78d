#include "proxy/task.hpp"

#include <spdlog/spdlog.h>

namespace rotagate::proxy {

/// The coroutine that awaits a task for nobody.
struct Tasks::Root {
    struct promise_type : pool::Pooled, Link {
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
