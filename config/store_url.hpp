#pragma once

#include <string_view>

#include "config/config.hpp"
#include "config/reader.hpp"

namespace rotagate::config {

/// The form of a Redis store's URL:
///     redis://[USER:PASSWORD@]HOST:PORT[/DATABASE]
///     redis+unix://[USER:PASSWORD@]/PATH[?db=DATABASE]
///     redis+sentinel://[USER:PASSWORD@]HOST:PORT[,HOST:PORT...]/MASTER[/DATABASE]
///     redis+cluster://[USER:PASSWORD@]HOST:PORT[,HOST:PORT...]
/// With "rediss" in place of "redis" the servers, sentinels included, are spoken to over TLS. Percent-encoding in USER
/// and PASSWORD is undone; an empty USER is Redis's default user.
Parsed<Redis> redis_url(std::string_view text);

/// Whether a text begins as one of them.
bool is_redis_url(std::string_view text);

}  // namespace rotagate::config
