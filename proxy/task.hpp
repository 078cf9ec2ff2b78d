#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/intrusive/list.hpp>

#include "proxy/pool.hpp"
#include "session/store.hpp"

namespace rotagate::proxy {

namespace asio = boost::asio;
using boost::system::error_code;

/// The loop's own executor type, not any_io_executor: completions then need no indirection.
using Executor = asio::io_context::executor_type;

namespace detail {

/// Coroutine frames come from the pool: a request makes ten of them.
struct TaskPromise : pool::Pooled {
    struct Return {
        bool await_ready() const noexcept { return false; }
        template <class Promise>
        void await_suspend(std::coroutine_handle<Promise> ended) const noexcept {
            if (const auto next = ended.promise().awaiting) next.resume();  // which may destroy the ended one
        }
        void await_resume() const noexcept {}
    };
    std::suspend_always initial_suspend() const noexcept { return {}; }
    Return final_suspend() const noexcept { return {}; }
    void unhandled_exception() { failure = std::current_exception(); }

    std::coroutine_handle<> awaiting;  ///< none while the task runs for the first time: it may end at once
    std::exception_ptr failure;
};

template <class T>
struct ResultPromise : TaskPromise {
    template <class U>
    void return_value(U&& value) {
        result.emplace(std::forward<U>(value));
    }
    T take() {
        if (failure) std::rethrow_exception(failure);
        return std::move(*result);
    }
    std::optional<T> result;
};

template <>
struct ResultPromise<void> : TaskPromise {
    void return_void() const noexcept {}
    void take() const {
        if (failure) std::rethrow_exception(failure);
    }
};

}  // namespace detail

/// A coroutine on one event loop, which begins when it is awaited and resumes the awaiting one when it ends. It is ours
/// and not Asio's awaitable, since it is on the path of every request: no bookkeeping per thread of coroutines, and
/// frames that are pooled.
template <class T = void>
class [[nodiscard]] Task {
public:
    struct promise_type : detail::ResultPromise<T> {
        Task get_return_object() { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
    };

    Task(Task&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
    Task& operator=(Task&&) = delete;
    ~Task() {
        if (frame_) frame_.destroy();
    }

    bool await_ready() const noexcept { return false; }
    /// A task that ends at once costs the awaiting one no suspension, and no stack: not every compiler makes the
    /// resumption of one coroutine by another a jump, GCC with sanitizers does not.
    bool await_suspend(std::coroutine_handle<> awaiting) {
        frame_.resume();
        if (frame_.done()) return false;
        frame_.promise().awaiting = awaiting;
        return true;
    }
    T await_resume() { return frame_.promise().take(); }

private:
    explicit Task(std::coroutine_handle<promise_type> frame) : frame_(frame) {}
    std::coroutine_handle<promise_type> frame_;
};

/// Tasks that nobody awaits. Those that have not ended are destroyed with it.
class Tasks {
public:
    Tasks() = default;
    Tasks(const Tasks&) = delete;
    ~Tasks();
    /// Runs the task up to its first wait, before it returns. An exception that leaves the task is logged.
    void start(Task<> task);

private:
    struct Root;
    struct Link : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
        std::coroutine_handle<> frame;
    };
    static Root run(Tasks& tasks, Task<> task);

    boost::intrusive::list<Link, boost::intrusive::constant_time_size<false>> running_;
};

/// Lets one coroutine wait for a callback on the same event loop. An operation of Asio:
///     Signal done;
///     timer.async_wait([&](error_code e) { ec = e; done.notify(); });
///     co_await done.wait();
class Signal {
public:
    Signal() = default;
    Signal(const Signal&) = delete;

    /// co_await it: suspends the caller, which has seen that what it waits for is not there yet.
    auto wait() {
        struct Wait {
            bool await_ready() const noexcept { return false; }
            void await_suspend(std::coroutine_handle<> waiter) const noexcept { signal.waiter_ = waiter; }
            void await_resume() const noexcept {}
            Signal& signal;
        };
        return Wait{*this};
    }
    bool waited_for() const { return waiter_ != nullptr; }
    /// Resumes the coroutine that waits, if one does, before it returns: the caller must not use what that may destroy.
    void notify() {
        if (const auto waiter = std::exchange(waiter_, nullptr)) waiter.resume();
    }

private:
    std::coroutine_handle<> waiter_;
};

/// The result of a call that ends with a session::Completion, at once or later:
///     Pending<Session> presented;
///     store.present(cookie, wanted, presented.completion());
///     if (!presented.ready()) co_await presented.wait();
/// The check spares the usual case, a store that answers at once, a coroutine.
template <class T>
class Pending {
public:
    Pending() = default;
    Pending(const Pending&) = delete;
    session::Completion<T> completion() {
        return [this](session::Result<T> result) {
            result_.emplace(std::move(result));
            signal_.notify();
        };
    }
    bool ready() const { return result_.has_value(); }
    auto wait() { return signal_.wait(); }
    session::Result<T>& result() { return *result_; }

private:
    std::optional<session::Result<T>> result_;
    Signal signal_;
};

}  // namespace rotagate::proxy
