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

/// Lets one coroutine wait for a callback on the same event loop. A notification that nobody waits for is kept.
class Signal {
public:
    Task<> wait() {
        if (!std::exchange(notified_, false)) {
            auto keep = [this](auto handler) { waiter_.emplace(std::move(handler)); };
            co_await asio::async_initiate<UseTask, void()>(keep, token_);
        }
    }
    bool waited_for() const { return waiter_.has_value(); }
    /// Resumes the waiting coroutine before it returns: the caller must not use what that may destroy.
    void notify() {
        if (!waiter_) {
            notified_ = true;
            return;
        }
        auto resume = std::move(*waiter_);
        waiter_.reset();
        std::move(resume)();
    }

private:
    using Handler = asio::async_result<UseTask, void()>::handler_type;
    UseTask token_;
    std::optional<Handler> waiter_;
    bool notified_ = false;
};

/// Awaits a call that ends with a session::Completion: at once where the store answers at once.
/// @param call  called with the completion
template <class T, class Call>
Task<session::Result<T>> completed(Call call) {
    std::optional<session::Result<T>> result;
    Signal signal;
    session::Completion<T> done = [&result, &signal](session::Result<T> value) {
        result.emplace(std::move(value));
        if (signal.waited_for()) signal.notify();
    };
    call(std::move(done));
    if (!result) co_await signal.wait();
    co_return std::move(*result);
}

}  // namespace rotagate::proxy
