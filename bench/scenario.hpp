#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/reader.hpp"

namespace rotagate::bench {

/// What a request line may hold as its target; placeholders are filled in later.
config::Parsed<std::string> path_form(std::string_view text);

/// One kind of request that users make. In `path` and `form`, {user} stands for the user's name, {number} for a random
/// number of up to six digits.
struct Step {
    std::string name;  ///< as the report shows it; "GET /account"
    std::string method = "GET";
    std::string path = "/";     ///< with its query
    std::string form;           ///< a body as it is
    std::uint64_t body = 0;     ///< or bytes of a body that means nothing
    std::string content_type;   ///< of either
    unsigned weight = 1;        ///< how often, in proportion to the other steps; 0: never
    bool needs_session = true;  ///< 401, or being sent to the login page, means that the session is lost

    std::string path_only() const { return path.substr(0, path.find('?')); }
};

/// What users do with a site: bench/README.md has an example.
struct Scenario {
    std::optional<Step> login;   ///< what every user does first, and again after a logout
    std::optional<Step> logout;  ///< chosen by its weight among the requests
    std::vector<Step> requests;

    /// The same without a file: one path. @param form  of the login; both empty: no login
    static Scenario simple(const std::string& path, const std::string& login, const std::string& form);
};

/// A step that posts a form.
Step form_step(const std::string& path, const std::string& form);

/// Throws std::runtime_error with every mistake as FILE:LINE:COLUMN: message, a line each.
Scenario parse_scenario(const std::string& yaml, const std::filesystem::path& name);
Scenario load_scenario(const std::filesystem::path& file);

/// A text with its placeholders filled in. @param number  for {number}
std::string filled(const std::string& text, const std::string& user, std::uint64_t number);

}  // namespace rotagate::bench
