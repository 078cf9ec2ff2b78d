#pragma once

#include <string_view>

namespace rotagate::config {

/// The part before a separator, which is taken off the text, the separator too; all of it where there is none.
inline std::string_view take_until(std::string_view& text, char separator) {
    const auto end = text.find(separator);
    const std::string_view part = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    return part;
}

}  // namespace rotagate::config
