#include "proxy/stream.hpp"

#include <boost/asio/detached.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <catch2/catch.hpp>
#include <sys/socket.h>

using namespace rotagate::proxy;
using namespace std::string_literals;

namespace {

/// A stream whose other end is a blocking socket in the test's hands.
struct Ends {
    Ends() {
        int fds[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
        const asio::generic::stream_protocol protocol(AF_UNIX, 0);
        stream = std::make_shared<Stream>(Socket(loop, protocol, fds[0]), nullptr, Buffer::client_size);
        other.emplace(loop, protocol, fds[1]);
    }
    void say(const std::string& text) { asio::write(*other, asio::buffer(text)); }
    void run(Task<> task) {
        tasks.start(std::move(task));
        loop.run();
        loop.restart();
    }

    asio::io_context loop{1};
    std::shared_ptr<Stream> stream;
    std::optional<Socket> other;
    Tasks tasks;
};

/// Notes what more() came to.
Task<> read_more(Stream& stream, std::size_t seen, std::optional<error_code>& result) {
    result = co_await stream.more(seen);
}

Task<> flush(Stream& stream, std::optional<error_code>& result) { result = co_await stream.flush(); }

Task<> sleep(Stream& stream, std::optional<error_code>& woken) {
    woken = co_await stream.wait_parked();
    if (!*woken) woken = co_await stream.more(0);
}

struct Watcher final : StreamWatcher {
    void on_idle_event(Stream&) override { ++events; }
    int events = 0;
};

}  // namespace

SCENARIO("more() gives what arrives, and the end after it", "[stream]") {
    Ends ends;
    std::optional<error_code> result;
    ends.say("hello");
    ends.other.reset();
    ends.run(read_more(*ends.stream, 0, result));
    CHECK(*result == error_code());
    CHECK(ends.stream->input() == "hello");
    ends.run(read_more(*ends.stream, 5, result));
    CHECK(*result == asio::error::eof);
    CHECK(ends.stream->input() == "hello");
}

SCENARIO("an input that is full is told, and makes room when it is consumed or given away", "[stream]") {
    Ends ends;
    std::optional<error_code> result;
    ends.say(std::string(Buffer::client_size, 'a') + "b");
    while (ends.stream->input().size() < Buffer::client_size)
        ends.run(read_more(*ends.stream, ends.stream->input().size(), result));
    ends.run(read_more(*ends.stream, Buffer::client_size, result));
    REQUIRE(*result == asio::error::no_buffer_space);
    SECTION("consumed") { ends.stream->consume(1); }
    SECTION("given away") {
        const std::string_view before = ends.stream->input();
        ends.stream->consume(1);
        const Buffer old = ends.stream->detach_input(2 * Buffer::client_size);
        CHECK(before.data() == old.data());
        CHECK(before == std::string(Buffer::client_size, 'a'));
    }
    ends.run(read_more(*ends.stream, Buffer::client_size - 1, result));
    CHECK(*result == error_code());
    CHECK(ends.stream->input() == std::string(Buffer::client_size - 1, 'a') + "b");
}

SCENARIO("interrupt() ends one wait and no more; abort() ends all", "[stream]") {
    Ends ends;
    std::optional<error_code> result;
    ends.tasks.start(read_more(*ends.stream, 0, result));
    ends.loop.poll();
    REQUIRE_FALSE(result);
    ends.stream->interrupt();
    ends.loop.run();
    ends.loop.restart();
    CHECK(*result == asio::error::operation_aborted);

    ends.say("still there");
    ends.run(read_more(*ends.stream, 0, result));
    CHECK(*result == error_code());
    CHECK(ends.stream->input() == "still there");

    ends.stream->abort(asio::error::timed_out);
    ends.run(read_more(*ends.stream, ends.stream->input().size(), result));
    CHECK(*result == asio::error::timed_out);
    CHECK_FALSE(ends.stream->send({"x"}));
}

SCENARIO("what the socket does not take is kept, in order, until flush()", "[stream]") {
    Ends ends;
    const std::string large(4'000'000, 'l');
    REQUIRE_FALSE(ends.stream->send({"head ", large}));
    CHECK_FALSE(ends.stream->send({" tail"}));
    std::optional<error_code> result;
    ends.tasks.start(flush(*ends.stream, result));
    ends.loop.poll();
    CHECK_FALSE(result);

    std::string received(large.size() + 10, ' ');
    asio::async_read(*ends.other, asio::buffer(received), asio::detached);
    ends.loop.run();
    CHECK(*result == error_code());
    CHECK(received == "head " + large + " tail");
    CHECK(ends.stream->send({"more"}));
}

SCENARIO("a stream that nobody reads from tells its watcher, once, of bytes and of the end", "[stream]") {
    Ends ends;
    Watcher watcher;
    CHECK(ends.stream->quiet());
    ends.stream->watch(watcher);
    ends.loop.poll();
    CHECK(watcher.events == 0);
    SECTION("bytes") { ends.say("?"); }
    SECTION("the end") { ends.other.reset(); }
    ends.loop.run_one();
    CHECK(watcher.events == 1);
    CHECK_FALSE(ends.stream->quiet());
}

SCENARIO("a parked stream wakes up by a byte, with nothing lost", "[stream]") {
    Ends ends;
    std::optional<error_code> result;
    ends.tasks.start(sleep(*ends.stream, result));
    ends.loop.poll();
    CHECK_FALSE(result);
    ends.say("good morning");
    ends.loop.run();
    CHECK(*result == error_code());
    CHECK(ends.stream->input() == "good morning");
}
