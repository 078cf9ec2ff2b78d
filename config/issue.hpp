#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace rotagate::config {

struct TreeNode;

/// One mistake (or one warning) in a configuration file.
struct Issue {
    std::string file;
    int line = 1;    ///< from 1, as is the column; what concerns the file as a whole stands at 1:1
    int column = 1;  ///< in bytes
    std::string message;

    std::string text() const;  ///< "FILE:LINE:COLUMN: message"
};

/// Where the settings of a file stand, for what turns out to be wrong only when it is used.
class Places {
public:
    /// @param tree  of the whole file; null: it could not be read
    explicit Places(std::string file = {}, std::shared_ptr<const TreeNode> tree = nullptr);

    /// A mistake in a setting. @param key  its full name, such as "listen[1].address"; one that is not written stands
    /// where the list or map does that would hold it; empty: the file as a whole
    Issue issue(std::string_view key, std::string_view message) const;

private:
    std::string file_;
    std::shared_ptr<const TreeNode> tree_;
};

}  // namespace rotagate::config
