#include "bench/http_client.hpp"

#include <cerrno>
#include <sstream>

#include <catch2/catch.hpp>

#include "bench/load_report.hpp"

using namespace rotagate::bench;
using Catch::Contains;

SCENARIO("a machine that has no ports left is told of, with the cure", "[http_client]") {
    ConnectionSettings settings;
    settings.targets.push_back(Target::parse("http://127.0.0.1:1"));
    ClientLoop loop(settings);
    const auto failure = [&](int code) {
        return connect_failure(loop, rotagate::proxy::error_code(code, boost::system::system_category()));
    };
    CHECK(failure(ECONNREFUSED) == Failure::connect);
    CHECK(failure(ETIMEDOUT) == Failure::timeout);
    CHECK(loop.no_port() == 0);
    CHECK(failure(EADDRNOTAVAIL) == Failure::connect);
    CHECK(loop.no_port() == 1);
    LoadReport report;
    const auto text = [&] {
        std::ostringstream out;
        report.measured = 1;
        write_text(report, out);
        return out.str();
    };
    CHECK_THAT(text(), !Contains("port"));
    report.no_port = loop.no_port();
    CHECK_THAT(text(), Contains("1 connections found no port") && Contains("keep connections alive"));
}

SCENARIO("a request tells its body's length where there might be one", "[http_client]") {
    Request request;
    CHECK_FALSE(request.tells_length());
    request.content_type = "text/plain";
    CHECK(request.tells_length());
    request.content_type = "";
    for (const char* method : {"POST", "PUT", "PATCH"}) {
        request.method = method;
        CHECK(request.tells_length());
    }
    request.method = "DELETE";
    CHECK_FALSE(request.tells_length());
}
