#pragma once

#include <cstddef>
#include <new>
#include <optional>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "session/store.hpp"

namespace rotagate::proxy {

namespace asio = boost::asio;
using boost::system::error_code;

/// A coroutine on one event loop. The loop's own executor type, not any_io_executor: completions then need no
/// indirection.
using Executor = asio::io_context::executor_type;
template <class T = void>
using Task = asio::awaitable<T, Executor>;
using UseTask = asio::use_awaitable_t<Executor>;

/// Lets one coroutine wait for a callback on the same event loop.
class Signal {
public:
    Signal() = default;
    Signal(const Signal&) = delete;
    ~Signal() {
        if (waited_for()) waiter_.destroy(waiter_.room);
    }

    /// co_await it: suspends the caller, which has seen that what it waits for is not there yet. An operation rather
    /// than a Task, which would be a coroutine of its own.
    auto wait() {
        return asio::async_initiate<const asio::deferred_t, void()>(
            [this](auto handler) { waiter_.keep(std::move(handler)); }, asio::deferred);
    }
    bool waited_for() const { return waiter_.resume != nullptr; }
    /// Resumes the coroutine that waits, if one does, before it returns: the caller must not use what that may destroy.
    void notify() {
        if (auto* const resume = std::exchange(waiter_.resume, nullptr)) resume(waiter_.room);
    }

private:
    /// A handler in place, whatever Asio's type for a coroutine's continuation is.
    struct Waiter {
        static constexpr std::size_t capacity = 4 * sizeof(void*);
        alignas(void*) std::byte room[capacity];
        void (*resume)(std::byte*) = nullptr;  ///< moves the handler out and calls it; null: there is none
        void (*destroy)(std::byte*) = nullptr;

        template <class Handler>
        void keep(Handler handler) {
            // NOLINTNEXTLINE(misc-redundant-expression): true for the one type that there is now
            static_assert(sizeof(Handler) <= capacity && alignof(Handler) <= alignof(void*));
            new (room) Handler(std::move(handler));
            resume = [](std::byte* at) {
                auto* const kept = std::launder(reinterpret_cast<Handler*>(at));
                Handler continuation(std::move(*kept));
                kept->~Handler();
                std::move(continuation)();
            };
            destroy = [](std::byte* at) { std::launder(reinterpret_cast<Handler*>(at))->~Handler(); };
        }
    };
    Waiter waiter_;
};

/// The result of a call that ends with a session::Completion, at once or later:
///     Pending<Session> presented;
///     store.present(cookie, true, presented.completion());
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
