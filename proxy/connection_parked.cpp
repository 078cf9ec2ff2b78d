// A connection that waits for its next request for long. connection.cpp has the rest of it.
#include "proxy/connection.hpp"

namespace rotagate::proxy {

/// Gives the connection's memory back, that of its coroutines too, until a request begins or the time for it is over.
/// @return false: not now, for the client has something to take, or has sent something
bool Connection::park() {
    timed_out_ = false;
    wait_until(frontend_.idle_limit() - park_after);
    if (!stream_->quiet()) return false;
    parked_ = shared_from_this();
    stream_->park(*this);
    return true;
}

void Connection::on_idle_event(Stream&) { loop_.tasks.start(go_on()); }

Task<> Connection::go_on() {
    const auto self = std::move(parked_);
    co_await serve();
}

void Connection::end_parked() {
    const auto self = std::move(parked_);
    stream_->say_goodbye();
    stream_->close();
}

}  // namespace rotagate::proxy
