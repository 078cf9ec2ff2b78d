#include "proxy/tls_tickets.hpp"

#include <fstream>

#include <catch2/catch.hpp>
#include <sys/stat.h>

#include "tests/proxy/running_admin.hpp"

using namespace rotagate;
using namespace rotagate::proxy::tls;
using rotagate::proxy::test::Folder;
using namespace std::chrono_literals;

namespace {

bool same(const TicketKey& a, const TicketKey& b) { return a.file_bytes() == b.file_bytes(); }

/// A file with a new key. @return the key
TicketKey write_key(const std::filesystem::path& file, mode_t mode = 0600) {
    const TicketKey key = TicketKey::generate();
    std::ofstream(file, std::ios::binary) << key.file_bytes();
    REQUIRE(::chmod(file.c_str(), mode) == 0);
    return key;
}

}  // namespace

SCENARIO("random ticket keys rotate, and each opens tickets for one more period", "[tls]") {
    const auto start = TicketKeys::Clock::time_point(1h);
    TicketKeys keys({.key_files = {}, .rotation = 12h}, start);
    const TicketKey first = keys.ring()->front();
    REQUIRE(keys.ring()->size() == 1);
    keys.look_after(start + 12h - 1ms);
    CHECK(same(keys.ring()->front(), first));

    keys.look_after(start + 12h);
    const auto ring = keys.ring();
    REQUIRE(ring->size() == 2);
    CHECK_FALSE(same(ring->front(), first));
    CHECK(same(ring->back(), first));

    GIVEN("another period") {
        keys.look_after(start + 24h);
        THEN("the first key opens nothing any more") {
            REQUIRE(keys.ring()->size() == 2);
            CHECK(same(keys.ring()->back(), ring->front()));
        }
        THEN("who holds the ring from before still has it") { CHECK(same(ring->back(), first)); }
    }
    GIVEN("a machine that slept for long") {
        keys.look_after(start + 36h);
        THEN("none of the keys from before opens anything") { CHECK(keys.ring()->size() == 1); }
    }
    GIVEN("a reload") {
        keys.use({.key_files = {}, .rotation = 1h}, start + 12h + 30min);
        THEN("the keys stay") { CHECK(same(keys.ring()->front(), ring->front())); }
        THEN("the new period holds") {
            keys.look_after(start + 13h);
            CHECK(same(keys.ring()->back(), ring->front()));
        }
    }
}

SCENARIO("ticket keys come from files, the first seals", "[tls]") {
    Folder folder;
    const auto first_file = folder.path / "first.key", second_file = folder.path / "second.key";
    const TicketKey first = write_key(first_file), second = write_key(second_file);
    TicketKeys keys({.key_files = {first_file, second_file}});
    REQUIRE(keys.ring()->size() == 2);
    CHECK(same(keys.ring()->front(), first));
    CHECK(same(keys.ring()->back(), second));

    GIVEN("a file that is replaced") {
        const TicketKey third = write_key(folder.path / "next.key");
        std::filesystem::rename(folder.path / "next.key", first_file);
        keys.look_after();
        THEN("it is read again") { CHECK(same(keys.ring()->front(), third)); }
    }
    GIVEN("a file that goes, or cannot be used") {
        const auto spoil = GENERATE(0, 1, 2);
        if (spoil == 0) std::filesystem::remove(second_file);
        if (spoil == 1) std::ofstream(second_file) << "short";
        if (spoil == 2) write_key(second_file, 0604);
        keys.look_after();
        THEN("the keys stay as they are") {
            REQUIRE(keys.ring()->size() == 2);
            CHECK(same(keys.ring()->back(), second));
        }
        THEN("a start or a reload with it is refused") {
            CHECK_THROWS_AS(keys.use({.key_files = {second_file}}), std::runtime_error);
            CHECK(same(keys.ring()->front(), first));
        }
    }
    GIVEN("a reload without files") {
        keys.use({});
        THEN("keys are random again") {
            CHECK(keys.ring()->size() == 1);
            CHECK_FALSE(same(keys.ring()->front(), first));
        }
    }
}

SCENARIO("a ticket key file is 80 bytes that nobody else can read", "[tls]") {
    Folder folder;
    const auto file = folder.path / "ticket.key";
    const TicketKey key = write_key(file);
    REQUIRE(TicketKey::read(file).has_value());
    CHECK(same(*TicketKey::read(file), key));
    CHECK(key.file_bytes().size() == 80);
    CHECK(TicketKey::read(folder.path / "none").error() == boost::system::errc::no_such_file_or_directory);
    CHECK(TicketKey::read(folder.path).error() == boost::system::errc::invalid_argument);
    CHECK(TicketKey::read("/dev/zero").error() == boost::system::errc::invalid_argument);
    for (const std::size_t size : {0, 48, 79, 81, 1000}) {
        std::ofstream(file, std::ios::binary | std::ios::trunc) << std::string(size, 'x');
        CHECK(TicketKey::read(file).error() == boost::system::errc::invalid_argument);
    }
    write_key(file, 0644);
    CHECK(TicketKey::read(file).error() == boost::system::errc::permission_denied);
    write_key(file, 0640);
    CHECK(TicketKey::read(file).has_value());
}
