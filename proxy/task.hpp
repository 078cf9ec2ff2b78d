#pragma once

#include <optional>
#include <utility>

#include <boost/asio/awaitable.hpp>
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
    /// Suspends the caller, which has seen that what it waits for is not there yet.
    Task<> wait() {
        auto keep = [this](auto handler) { waiter_.emplace(std::move(handler)); };
        return asio::async_initiate<UseTask, void()>(std::move(keep), token_);
    }
    bool waited_for() const { return waiter_.has_value(); }
    /// Resumes the coroutine that waits, if one does, before it returns: the caller must not use what that may destroy.
    void notify() {
        if (!waiter_) return;
        auto resume = std::move(*waiter_);
        waiter_.reset();
        std::move(resume)();
    }

private:
    using Handler = asio::async_result<UseTask, void()>::handler_type;
    UseTask token_;
    std::optional<Handler> waiter_;
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
    Task<> wait() { return signal_.wait(); }
    session::Result<T>& result() { return *result_; }

private:
    std::optional<session::Result<T>> result_;
    Signal signal_;
};

}  // namespace rotagate::proxy
