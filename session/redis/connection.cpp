#include "session/redis/connection.hpp"

#include <atomic>

#include <boost/asio/post.hpp>

#include "session/redis/command.hpp"

namespace rotagate::session::redis {
namespace {

constexpr std::size_t input_size = 64 * config::KiB;

std::uint64_t next_number() {
    static std::atomic<std::uint64_t> last{0};
    return ++last;
}

}  // namespace

Connection::Connection(asio::io_context& loop, asio::ssl::context* tls, config::Address server, Owner& owner)
    : loop_(loop), wire_(make_wire(loop, tls)), server_(std::move(server)), owner_(&owner), number_(next_number()) {}

void Connection::open(const std::vector<Greeting>& greeting) {
    for (const Greeting& part : greeting) {
        out_ += part.command;
        greeting_.push_back(part.answer);
    }
    wire_->connect(server_, [this, self = shared_from_this()](error_code ec, std::size_t) {
        if (ec) return lose(ec.message());
        in_.resize(input_size);
        flush();
        read();
        if (greeting_.empty() && wire_) {
            ready_ = true;
            owner_->on_ready(*this);
        }
    });
}

void Connection::send(const CallPtr& call) {
    call->sent_at = std::chrono::steady_clock::now();
    expected_.push_back(call);
    out_ += call->wire;
    if (std::exchange(flush_posted_, true)) return;
    // Behind all that is ready now: what other requests of this turn ask goes along.
    asio::post(loop_, [weak = weak_from_this()] {
        const auto self = weak.lock();
        if (!self) return;
        self->flush_posted_ = false;
        self->flush();
    });
}

void Connection::send_unanswered(std::string_view command) {
    expected_.push_back(nullptr);
    out_ += command;
}

void Connection::ping() {
    out_ += command({"PING"});
    flush();
}

SteadyTime Connection::waiting_since() const {
    for (const CallPtr& call : expected_)
        if (call) return call->sent_at;
    return SteadyTime::max();
}

std::vector<CallPtr> Connection::close() {
    wire_.reset();
    ready_ = false;
    std::vector<CallPtr> unanswered;
    for (CallPtr& call : expected_)
        if (call) unanswered.push_back(std::move(call));
    expected_.clear();
    return unanswered;
}

void Connection::flush() {
    if (!wire_ || flushing_ || out_.empty()) return;
    std::swap(out_, writing_);
    flushing_ = !wire_->write(writing_, [this, self = shared_from_this()](error_code ec, std::size_t) {
        flushing_ = false;
        writing_.clear();
        if (ec) return lose(ec.message());
        flush();
    });
    if (!flushing_) writing_.clear();
}

void Connection::read() {
    wire_->read(in_, [this, self = shared_from_this()](error_code ec, std::size_t n) {
        if (ec) return lose(ec == asio::error::eof ? "the server has closed the connection" : ec.message());
        on_read(n);
        if (wire_) read();
    });
}

void Connection::on_read(std::size_t n) {
    heard_at_ = std::chrono::steady_clock::now();
    reader_.feed({in_.data(), n});
    while (wire_) {
        switch (reader_.next()) {
            case ReplyReader::State::incomplete:
                return;
            case ReplyReader::State::broken:
                return lose("what answers does not speak Redis' protocol");
            case ReplyReader::State::reply:
                take(reader_.reply());
        }
    }
}

void Connection::take(Reply reply) {
    if (!greeting_.empty()) return greeted(reply);
    if (expected_.empty()) return owner_->on_message(*this, reply);
    const CallPtr call = std::move(expected_.front());
    expected_.pop_front();
    if (call) owner_->on_answer(*this, call, reply);
}

void Connection::greeted(Reply reply) {
    const Greeting::Answer wanted = greeting_.front();
    greeting_.pop_front();
    if (wanted != Greeting::Answer::any && reply.is_error()) return lose(std::string(reply.text()));
    if (wanted == Greeting::Answer::master && reply[0].text() != "master") return lose("it is no master");
    if (!greeting_.empty()) return;
    ready_ = true;
    owner_->on_ready(*this);
}

void Connection::lose(const std::string& why) {
    if (!wire_) return;
    auto unanswered = close();
    owner_->on_lost(*this, std::move(unanswered), why);
}

}  // namespace rotagate::session::redis
