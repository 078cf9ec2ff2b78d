#include "bench/option_checks.hpp"

#include <filesystem>
#include <fstream>
#include <string>

#include <catch2/catch.hpp>
#include <unistd.h>

using namespace rotagate::bench;
using Catch::Contains;

SCENARIO("a path of the command line is one", "[options]") {
    CHECK(path_mistake("/login").empty());
    CHECK(path_mistake("/tile/{number}?format=json").empty());
    for (const char* bad : {"", "login", "/a b", "/a\nb", "/a\x7f", "https://a/b"}) {
        CAPTURE(bad);
        CHECK_THAT(path_mistake(bad), Contains("is not a path; write one that begins with /"));
    }
}

SCENARIO("a file that cannot be written is told before the run", "[options]") {
    namespace fs = std::filesystem;
    const fs::path folder = fs::temp_directory_path() / ("rotagate-options-" + std::to_string(::getpid()));
    fs::create_directory(folder);
    const std::string file = folder / "figures.json";
    CHECK(output_mistake(file).empty());
    CHECK_FALSE(fs::exists(file));  // it is not there before there is something in it
    std::ofstream(file) << "of an earlier run";
    CHECK(output_mistake(file).empty());
    CHECK(fs::file_size(file) == 17);
    CHECK_THAT(output_mistake(folder), Contains("cannot be written"));
    CHECK_THAT(output_mistake(folder / "none" / "figures.json"), Contains("cannot be written: No such file"));
    CHECK(output_mistake("/dev/null").empty());
    fs::remove_all(folder);
}
