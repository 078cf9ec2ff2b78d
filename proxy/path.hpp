#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace rotagate::proxy {

/// A request target, split and made canonical (SPEC section 5): what routes match and what the app receives.
struct Target {
    std::string_view path;       ///< canonical; a view into the target where nothing had to change, else into `storage`
    std::string_view query;      ///< byte for byte, with its "?"; empty: none
    bool encoded_slash = false;  ///< the path as sent has a %2f, which only routes with `encoded_slashes: allow` take
    bool no_utf8 = false;  ///< the path has triplets that are none, which only routes with `path_encoding: any` take
};

/// Undoes percent-encoding of unreserved characters, merges double slashes, then resolves dot segments.
/// @param target   origin-form; must begin with "/"
/// @param storage  holds the path where it had to change
/// @return none where the path is ambiguous (%5c, "\", %00, raw bytes outside ASCII, overlong UTF-8, "." or ".." before
/// a ";", a
///         second layer of encoding that hides any of these): answer 400
std::optional<Target> canonical_target(std::string_view target, std::string& storage);

/// Whether routes and apps can have no other spelling of the path; most have one. @param path  canonical
bool has_one_spelling(std::string_view path);

/// The path as routes spell it, and as apps see it that decode it: "@" and other characters that have a meaning of
/// their own in some paths are themselves, but for ";"; those that no path should have, such as "|", are encoded.
/// @param path  canonical
/// @return none where it is spelt so already
std::optional<std::string> as_routes_spell(std::string_view path);

/// The path as an app sees it that cuts the parameters of each segment off (";a=b"), as servlet containers do.
/// @param path  canonical
/// @return none where it has no parameters
std::optional<std::string> without_parameters(std::string_view path);

}  // namespace rotagate::proxy
