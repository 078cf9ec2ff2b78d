#include "proxy/stream.hpp"

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/socket.h>

using namespace rotagate::proxy;
using namespace std::string_literals;

namespace {

/// Notes what more() came to.
Task<> read_more(Stream& stream, std::size_t seen, std::optional<error_code>& result) {
    result = co_await stream.more(seen);
}

/// A stream's end of a socket.
Descriptor not_blocking(int socket) {
    REQUIRE(::fcntl(socket, F_SETFL, O_NONBLOCK) == 0);
    return Descriptor(socket);
}

/// A stream whose other end is a blocking socket in the test's hands.
struct Ends {
    Ends() {
        int fds[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
        stream = std::make_shared<Stream>(loop, not_blocking(fds[0]), nullptr, Buffer::client_size);
        other.emplace(loop, asio::local::stream_protocol(), fds[1]);
    }
    void say(const std::string& text) { asio::write(*other, asio::buffer(text)); }
    /// Runs the loop until there is a result.
    void run(const std::optional<error_code>& result) {
        while (!result) REQUIRE(loop.run_one_for(std::chrono::seconds(10)) > 0);
    }
    /// Waits for more() than `seen`.
    error_code more(std::size_t seen) {
        std::optional<error_code> result;
        tasks.start(read_more(*stream, seen, result));
        run(result);
        return *result;
    }

    asio::io_context loop{1};
    std::shared_ptr<Stream> stream;
    std::optional<asio::local::stream_protocol::socket> other;
    Tasks tasks;
};

Task<> flush(Stream& stream, std::optional<error_code>& result) { result = co_await stream.flush(); }

Task<> sleep(Stream& stream, std::optional<error_code>& woken) {
    error_code ec = co_await stream.wait_parked();
    if (!ec) ec = co_await stream.more(0);
    woken = ec;
}

struct Watcher final : StreamWatcher {
    void on_idle_event(Stream&) override { ++events; }
    int events = 0;
};

}  // namespace

SCENARIO("more() gives what arrives, and the end after it", "[stream]") {
    Ends ends;
    ends.say("hello");
    ends.other.reset();
    CHECK(ends.more(0) == error_code());
    CHECK(ends.stream->input() == "hello");
    CHECK(ends.more(5) == asio::error::eof);
    CHECK(ends.stream->peer_closed());
    CHECK(ends.stream->input() == "hello");
}

SCENARIO("an input that is full is told, and makes room when it is consumed or given away", "[stream]") {
    Ends ends;
    ends.say(std::string(Buffer::client_size, 'a') + "b");
    while (ends.stream->input().size() < Buffer::client_size) REQUIRE_FALSE(ends.more(ends.stream->input().size()));
    REQUIRE(ends.more(Buffer::client_size) == asio::error::no_buffer_space);
    SECTION("consumed") { ends.stream->consume(1); }
    SECTION("given away") {
        const std::string_view before = ends.stream->input();
        ends.stream->consume(1);
        const Buffer old = ends.stream->detach_input(2 * Buffer::client_size);
        CHECK(before.data() == old.data());
        CHECK(before == std::string(Buffer::client_size, 'a'));
    }
    CHECK(ends.more(Buffer::client_size - 1) == error_code());
    CHECK(ends.stream->input() == std::string(Buffer::client_size - 1, 'a') + "b");
}

SCENARIO("interrupt() ends one wait and no more; abort() ends all", "[stream]") {
    Ends ends;
    std::optional<error_code> result;
    ends.tasks.start(read_more(*ends.stream, 0, result));
    ends.loop.poll();
    REQUIRE_FALSE(result);
    ends.stream->interrupt();
    ends.run(result);
    CHECK(*result == asio::error::operation_aborted);

    ends.say("still there");
    CHECK(ends.more(0) == error_code());
    CHECK(ends.stream->input() == "still there");

    ends.stream->abort(asio::error::timed_out);
    CHECK(ends.more(ends.stream->input().size()) == asio::error::timed_out);
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
    std::optional<error_code> all_read;
    asio::async_read(*ends.other, asio::buffer(received), [&](error_code ec, std::size_t) { all_read = ec; });
    ends.run(all_read);
    ends.run(result);
    CHECK(*result == error_code());
    CHECK((received == "head " + large + " tail"));  // in parentheses: a failure does not print the 4 MB
    CHECK(ends.stream->send({"more"}));
}

SCENARIO("what is sent soon goes out when the turn ends, or earlier for what comes behind it", "[stream]") {
    Ends ends;
    const auto arrived = [&] {
        char text[100];
        const ssize_t n = ::recv(ends.other->native_handle(), text, sizeof text, MSG_DONTWAIT);
        return std::string(text, n < 0 ? 0 : static_cast<std::size_t>(n));
    };
    REQUIRE(ends.stream->send_soon({"an ", "answer "}));
    REQUIRE(ends.stream->send_soon({"or two"}));
    CHECK(arrived().empty());
    CHECK_FALSE(ends.stream->quiet());
    SECTION("by itself") {
        ends.loop.poll();
        CHECK(arrived() == "an answer or two");
        CHECK(ends.stream->quiet());
    }
    SECTION("behind it, at once") {
        CHECK(ends.stream->send({" and more"}));
        CHECK(arrived() == "an answer or two and more");
    }
    SECTION("flush() waits for nothing") {
        std::optional<error_code> result;
        ends.tasks.start(flush(*ends.stream, result));
        REQUIRE(result);
        CHECK(*result == error_code());
        CHECK(arrived() == "an answer or two");
    }
    SECTION("close() loses nothing") {
        ends.stream->close();
        CHECK(arrived() == "an answer or two");
    }
    SECTION("nor does shutdown()") {
        ends.stream->shutdown();
        CHECK(arrived() == "an answer or two");
    }
    SECTION("nor does the end of the stream") {
        ends.stream.reset();
        CHECK(arrived() == "an answer or two");
        ends.loop.poll();
    }
}

SCENARIO("what is sent soon to a peer that takes nothing follows when it does, though nobody waits", "[stream]") {
    Ends ends;
    std::string expected;
    const std::string piece(10'000, 'p');
    while (ends.stream->send_soon({piece})) {
        expected += piece;
        ends.loop.poll();
        REQUIRE(expected.size() < 100'000'000);
    }
    expected += piece;
    std::string received(expected.size(), ' ');
    std::optional<error_code> all_read;
    asio::async_read(*ends.other, asio::buffer(received), [&](error_code ec, std::size_t) { all_read = ec; });
    ends.run(all_read);
    CHECK((received == expected));
    CHECK(ends.stream->quiet());
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
    while (watcher.events == 0) REQUIRE(ends.loop.run_one_for(std::chrono::seconds(10)) > 0);
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
    ends.run(result);
    CHECK(*result == error_code());
    CHECK(ends.stream->input() == "good morning");
}

SCENARIO("a stream that is closed wakes up who waits for it", "[stream]") {
    Ends ends;
    std::optional<error_code> read, written;
    ends.tasks.start(read_more(*ends.stream, 0, read));
    REQUIRE_FALSE(ends.stream->send({std::string(4'000'000, 'l')}));
    ends.tasks.start(flush(*ends.stream, written));
    ends.loop.poll();
    REQUIRE_FALSE(read);
    REQUIRE_FALSE(written);
    ends.stream->close();
    CHECK_FALSE(read);  // not inside of close()
    ends.run(read);
    ends.run(written);
    CHECK(*read == asio::error::bad_descriptor);
    CHECK(*written == asio::error::bad_descriptor);
}

SCENARIO("of streams that are ready in the same turn, one may close the other", "[stream]") {
    Ends first, second;
    struct Closer final : StreamWatcher {
        explicit Closer(Ends& its_ends) : ends(its_ends) {}
        void on_idle_event(Stream&) override { ++events, ends.stream.reset(); }
        Ends& ends;
        int events = 0;
    };
    // Both on one loop: the second pair's stream is made anew on the first's.
    int fds[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    second.stream = std::make_shared<Stream>(first.loop, not_blocking(fds[0]), nullptr, Buffer::client_size);
    asio::local::stream_protocol::socket other(first.loop, asio::local::stream_protocol(), fds[1]);
    Closer closes_second(second), closes_first(first);
    first.stream->watch(closes_second);
    second.stream->watch(closes_first);
    first.say("?");
    asio::write(other, asio::buffer("?"s));
    while (closes_first.events + closes_second.events == 0)
        REQUIRE(first.loop.run_one_for(std::chrono::seconds(10)) > 0);
    first.loop.poll();
    CHECK(closes_first.events + closes_second.events == 1);
}
