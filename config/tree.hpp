#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/report.hpp"

namespace rotagate::config {

/// A YAML value with its place in the file.
struct TreeNode {
    enum class Kind { null, text, list, map };

    Kind kind = Kind::null;
    Position at;                     ///< where the value begins; of a missing value: where its key begins
    std::string text;                ///< of Kind::text
    bool is_quoted = false;          ///< "true" is a text, true a boolean
    std::string key;                 ///< of a value in a map
    Position key_at;                 ///< of `key`
    std::vector<TreeNode> children;  ///< of a list or a map, in the file's order; a map's may repeat a key
};

/// What a file may ask of its reader: a configuration needs far less.
inline constexpr std::size_t max_file_bytes = 1 << 20;
inline constexpr int max_depth = 32;
inline constexpr std::size_t max_aliased_nodes = 10000;  ///< values that aliases copy, altogether

/// What a file has to be, for who wrote something else.
struct FileCures {
    std::string_view empty = "it needs listen, upstreams and routes";
    std::string_view no_map = "a configuration is a map of settings such as listen: and routes:";
};

/// Parses one YAML document into the tree of a map.
/// Refused, with a line in `report`: over 1 MiB, text that is not UTF-8, control characters, nesting deeper than 32,
/// aliases that stand for more than 10000 values, explicit tags, keys that are lists or maps, several documents, and
/// whatever is not YAML.
/// @return none where anything was refused
std::optional<TreeNode> parse_tree(const std::string& text, Report& report, const FileCures& cures = {});

}  // namespace rotagate::config
