#include "bench/plot.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>

#include <catch2/catch.hpp>

#include "bench/page.hpp"

using namespace rotagate::bench;
using Catch::Contains;

SCENARIO("numbers are shown with three digits, never with an exponent", "[plot]") {
    CHECK(short_number(0) == "0");
    CHECK(short_number(0.4123) == "0.412");
    CHECK(short_number(12.34) == "12.3");
    CHECK(short_number(45'678) == "45678");
    CHECK(short_number(1e7) == "10000000");
    CHECK(short_number(0.5) == "0.5");
    CHECK(short_number(100) == "100");
}

SCENARIO("axes begin and end at round numbers", "[plot]") {
    const Axis linear = linear_axis("s", 97);
    CHECK(linear.high == Approx(100));
    CHECK(linear.ticks.size() >= 4);
    CHECK(linear.ticks.size() <= 11);
    const Axis tail = logarithmic_axis("ms", 0.3, 42);
    CHECK(tail.low == Approx(0.1));
    CHECK(tail.high == Approx(100));
    CHECK(tail.position(0.1) == Approx(0).margin(1e-9));
    CHECK(tail.position(100) == Approx(1));
    CHECK(tail.position(0) == 0);
    CHECK(linear_axis("s", 0).high > 0);
}

SCENARIO("what a user wrote is shown, not obeyed", "[page]") {
    const auto file = std::filesystem::temp_directory_path() / "rotagate-bench-page-test.html";
    Page page("<script>alert(1)</script>", "a & \"b\"");
    page.heading("x");
    page.begin_table({"<b>"});
    page.row({"</td><script>"});
    page.end_table();
    page.write(file);
    std::ifstream in(file);
    const std::string html((std::istreambuf_iterator<char>(in)), {});
    std::filesystem::remove(file);
    CHECK_THAT(html, !Contains("<script>"));
    CHECK_THAT(html, Contains("a &amp; &quot;b&quot;") && Contains("&lt;/td&gt;"));
    CHECK_THROWS_WITH(page.write("/nowhere/at/all.html"), Contains("cannot be written"));
}
