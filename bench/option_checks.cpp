#include "bench/option_checks.hpp"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <variant>

#include "bench/scenario.hpp"

namespace rotagate::bench {

std::string path_mistake(const std::string& text) {
    const auto parsed = path_form(text);
    const auto* refusal = std::get_if<config::Refusal>(&parsed);
    return refusal ? "'" + text + "' " + refusal->why : "";
}

std::string output_mistake(const std::string& file) {
    std::error_code unknown;
    const auto status = std::filesystem::status(file, unknown);
    const bool is_new = !std::filesystem::exists(std::filesystem::symlink_status(file, unknown));
    // Who reads from a pipe would take this for its end.
    const bool is_there = std::filesystem::exists(status);
    if (is_there && !std::filesystem::is_regular_file(status) && !std::filesystem::is_directory(status)) return {};
    std::ofstream out(file, std::ios::app);
    if (!out)
        return "'" + file + "' cannot be written: " + std::generic_category().message(errno) +
               "; name a file in a folder that is there";
    if (is_new) std::filesystem::remove(file, unknown);
    return {};
}

}  // namespace rotagate::bench
