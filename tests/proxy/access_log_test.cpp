#include "proxy/access_log.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <thread>
#include <vector>

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <unistd.h>

#include "proxy/log_line.hpp"

using namespace rotagate::proxy;
using namespace std::chrono_literals;
namespace json = boost::json;
namespace config = rotagate::config;

namespace {

/// A log file that goes with the test.
struct LogFile {
    std::filesystem::path path =
        std::filesystem::temp_directory_path() / ("rotagate-log-" + std::to_string(getpid()) + ".log");
    LogFile() { std::filesystem::remove(path); }
    ~LogFile() { std::filesystem::remove(path); }

    std::vector<std::string> lines() const {
        std::ifstream in{path};
        std::vector<std::string> all;
        for (std::string line; std::getline(in, line);) all.push_back(line);
        return all;
    }
    config::Log settings(config::LogFormat format = config::LogFormat::json) const {
        config::Log log;
        log.access = log.security = path.string();
        log.format = format;
        return log;
    }
};

RequestRecord page_view() {
    RequestRecord request;
    request.request_id = "5f2c";
    request.client = "203.0.113.9";
    request.method = "GET";
    request.host = "example.org";
    request.path = "/account";
    request.protocol = "HTTP/1.1";
    request.user = "alice";
    request.session = "0badcafe";
    request.status = 200;
    request.upstream = "shop";
    request.server = "127.0.0.1:9000";
    request.bytes_out = 1024;
    request.duration = 12345us;
    request.store_duration = 7us;
    return request;
}

std::string json_text(std::string_view text) {
    fmt::memory_buffer out;
    append_quoted(out, text);
    return fmt::to_string(out);
}

}  // namespace

SCENARIO("each request is one JSON object in the access log", "[access_log]") {
    LogFile file;
    GIVEN("a page view of alice") {
        AccessLog log{file.settings()};
        log.write(page_view());
        log.flush();
        const auto lines = file.lines();
        REQUIRE(lines.size() == 1);
        const json::object line = json::parse(lines[0]).as_object();
        THEN("it tells who asked for what, and what came of it") {
            CHECK(line.at("request_id") == "5f2c");
            CHECK(line.at("client") == "203.0.113.9");
            CHECK(line.at("method") == "GET");
            CHECK(line.at("host") == "example.org");
            CHECK(line.at("path") == "/account");
            CHECK(line.at("protocol") == "HTTP/1.1");
            CHECK(line.at("status") == 200);
            CHECK(line.at("user") == "alice");
            CHECK(line.at("session") == "0badcafe");
            CHECK(line.at("upstream") == "shop");
            CHECK(line.at("server") == "127.0.0.1:9000");
            CHECK(line.at("bytes_in") == 0);
            CHECK(line.at("bytes_out") == 1024);
            CHECK(line.at("duration_ms").as_double() == Approx(12.345));
            CHECK(line.at("store_ms").as_double() == Approx(0.007));
        }
        THEN("its time is UTC with milliseconds") {
            const std::string time{line.at("time").as_string()};
            CHECK(std::regex_match(time, std::regex{R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)"}));
        }
        THEN("what is not known is left out") {
            CHECK(!line.contains("org"));
            CHECK(!line.contains("reason"));
        }
    }
    GIVEN("a path that tries to begin a line of its own") {
        AccessLog log{file.settings()};
        RequestRecord request = page_view();
        request.path = "/\"}\n{\"user\":\"admin\xff\x1b[2J";
        log.write(request);
        log.flush();
        THEN("it stays inside its field") {
            const auto lines = file.lines();
            REQUIRE(lines.size() == 1);
            CHECK(json::parse(lines[0]).at("path") == "/\"}\n{\"user\":\"admin\ufffd\x1b[2J");
            CHECK(lines[0].find('\x1b') == std::string::npos);
        }
    }
    GIVEN("format: text") {
        AccessLog log{file.settings(config::LogFormat::text)};
        RequestRecord request = page_view();
        request.path = "/a b=\"c\"";
        log.write(request);
        log.flush();
        THEN("the line is name=value pairs, quoted where they are not plain") {
            const auto lines = file.lines();
            REQUIRE(lines.size() == 1);
            CHECK(lines[0].find(" method=GET host=example.org path=\"/a b=\\\"c\\\"\" protocol=HTTP/1.1 status=200 ") !=
                  std::string::npos);
            CHECK(lines[0].substr(0, 5) == "time=");
        }
    }
    GIVEN("access: off") {
        config::Log off;
        off.access = "off";
        AccessLog log{off};
        THEN("nothing is written") {
            CHECK(!log.enabled());
            log.write(page_view());
            log.flush();
            CHECK(file.lines().empty());
        }
    }
    GIVEN("a file that cannot be written") {
        config::Log settings;
        settings.access = "/proc/none/access.log";
        THEN("the operator is told which setting is wrong") {
            CHECK_THROWS_WITH(AccessLog{settings}, Catch::Contains("log.access") && Catch::Contains(settings.access));
        }
    }
}

SCENARIO("the security log tells why a session started or ended", "[access_log]") {
    LogFile file;
    LoopMetrics metrics;
    GIVEN("a replayed cookie") {
        SecurityLog log{file.settings()};
        log.write({.kind = SecurityEvent::Kind::ended,
                   .reason = Reason::replay,
                   .user = "alice",
                   .org = "acme",
                   .session = "0badcafe",
                   .client = "203.0.113.9",
                   .request_id = "5f2c",
                   .detail = "the cookie was copied, or restored from a backup"},
                  metrics);
        THEN("it is in the file at once, and counted") {
            const auto lines = file.lines();
            REQUIRE(lines.size() == 1);
            const json::object line = json::parse(lines[0]).as_object();
            CHECK(line.at("event") == "session_ended");
            CHECK(line.at("reason") == "replay");
            CHECK(line.at("user") == "alice");
            CHECK(line.at("org") == "acme");
            CHECK(line.at("session") == "0badcafe");
            CHECK(line.at("client") == "203.0.113.9");
            CHECK(line.at("request_id") == "5f2c");
            CHECK(line.at("detail") == "the cookie was copied, or restored from a backup");
            CHECK(metrics.ended[static_cast<std::size_t>(Reason::replay)].value() == 1);
        }
    }
    GIVEN("security: off") {
        config::Log off;
        off.security = "off";
        SecurityLog log{off};
        log.write({.kind = SecurityEvent::Kind::refused, .reason = Reason::forged}, metrics);
        log.write({.kind = SecurityEvent::Kind::started, .reason = Reason::login}, metrics);
        THEN("events are counted all the same") {
            CHECK(metrics.refused[static_cast<std::size_t>(Reason::forged)].value() == 1);
            CHECK(metrics.started[static_cast<std::size_t>(Reason::login)].value() == 1);
        }
    }
    GIVEN("both logs on one file, written by several threads") {
        AccessLog access{file.settings()};
        SecurityLog security{file.settings()};
        constexpr std::size_t each = 500;
        std::array<std::jthread, 2> threads;
        for (std::jthread& thread : threads) {
            thread = std::jthread([&] {
                for (std::size_t n = 0; n < each; ++n) access.write(page_view());
            });
        }
        for (std::size_t n = 0; n < each; ++n) {
            security.write({.kind = SecurityEvent::Kind::started, .reason = Reason::login, .user = "bob"}, metrics);
        }
        for (std::jthread& thread : threads) thread.join();
        access.flush();
        THEN("their lines do not mix") {
            const auto lines = file.lines();
            CHECK(lines.size() == 3 * each);
            for (const std::string& line : lines) CHECK_NOTHROW(json::parse(line));
        }
    }
}

SCENARIO("a log is appended to", "[access_log]") {
    LogFile file;
    std::ofstream{file.path} << "from before\n";
    AccessLog log{file.settings()};
    log.write(page_view());
    log.flush();
    const auto lines = file.lines();
    REQUIRE(lines.size() == 2);
    CHECK(lines[0] == "from before");
}

SCENARIO("a log that is opened again writes to the file of that name", "[access_log]") {
    LogFile file;
    const std::filesystem::path moved = file.path.string() + ".1";
    AccessLog before{file.settings()};
    before.write(page_view());
    before.flush();
    WHEN("the file is the same") {
        AccessLog after{file.settings()};
        before.write(page_view());
        after.write(page_view());
        after.flush();
        THEN("both write to it, in one line after the other") { CHECK(file.lines().size() == 3); }
    }
    WHEN("the file was moved away") {
        std::filesystem::rename(file.path, moved);
        AccessLog after{file.settings()};
        SecurityLog security{file.settings()};
        before.write(page_view());
        after.write(page_view());
        after.flush();
        THEN("the new one has a file of its own, and the old one goes on with the other") {
            CHECK(file.lines().size() == 1);
            before.flush();
            std::ifstream in{moved};
            CHECK(std::count(std::istreambuf_iterator<char>{in}, {}, '\n') == 2);
        }
    }
    std::filesystem::remove(moved);
}

TEST_CASE("text is quoted so that any reader of JSON gets it back", "[access_log]") {
    CHECK(json_text("plain") == "\"plain\"");
    CHECK(json_text("") == "\"\"");
    CHECK(json_text("M\u00fcller \u6f22 \U0001f600") == "\"M\u00fcller \u6f22 \U0001f600\"");
    CHECK(json_text("a\tb\r\n") == "\"a\\tb\\r\\n\"");
    CHECK(json_text(std::string_view{"\0\x7f", 2}) == "\"\\u0000\\u007f\"");
    CHECK(json_text("\xc2\x9b"
                    "2J") == "\"\\u009b2J\"");
    SECTION("what is not UTF-8 is replaced") {
        const auto replaced = GENERATE(as<std::string>{}, "\xff", "\x80", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80",
                                       "\xf4\x90\x80\x80", "\xc3", "\xe6\xbc", "\xf0\x9f\x98");
        std::string expected;
        for (std::size_t i = 0; i < replaced.size(); ++i) expected += "\\ufffd";
        CHECK(json_text(replaced + "!") == "\"" + expected + "!\"");
    }
}

TEST_CASE("times are RFC 3339 in UTC", "[access_log]") {
    CHECK(rfc3339(0ms) == "1970-01-01T00:00:00.000Z");
    CHECK(rfc3339(951782400007ms) == "2000-02-29T00:00:00.007Z");
}
