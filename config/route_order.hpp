#pragma once

#include <vector>

#include "config/config.hpp"
#include "config/reader.hpp"

namespace rotagate::config {

/// Finds routes that can never match because an earlier one takes their requests: an error where both match the same,
/// a warning where the earlier one matches more. Methods count as covered where the earlier route takes any, or the
/// same.
/// @param readers  of the routes, one each, for the places of what is reported
void check_order(const std::vector<Route>& routes, std::vector<Reader>& readers);

}  // namespace rotagate::config
