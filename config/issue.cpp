#include "config/issue.hpp"

#include <algorithm>
#include <charconv>

#include "config/tree.hpp"

namespace rotagate::config {
namespace {

/// Takes the next step of a key: "[1]", or a name up to the next "." or "[".
std::string_view next_step(std::string_view& key) {
    if (key.starts_with('.')) key.remove_prefix(1);
    const auto end = key.starts_with('[') ? key.find(']') : key.find_first_of(".[");
    const std::string_view step = key.substr(0, end);
    key.remove_prefix(std::min(step.size() + (key.starts_with('[') ? 1 : 0), key.size()));
    return step;
}

const TreeNode* below(const TreeNode& node, std::string_view step) {
    if (step.starts_with('[')) {
        std::size_t index = 0;
        std::from_chars(step.data() + 1, step.data() + step.size(), index);
        return index < node.children.size() ? &node.children[index] : nullptr;
    }
    const auto found =
        std::find_if(node.children.begin(), node.children.end(), [&](const auto& child) { return child.key == step; });
    return found == node.children.end() ? nullptr : &*found;
}

}  // namespace

Places::Places(std::string file, std::shared_ptr<const TreeNode> tree)
    : file_(std::move(file)), tree_(std::move(tree)) {}

Issue Places::issue(std::string_view key, std::string_view message) const {
    Position at;
    const TreeNode* node = tree_.get();
    for (std::string_view rest = key; node && !rest.empty();) {
        node = below(*node, next_step(rest));
        if (node) at = node->at;
    }
    const std::string name = key.empty() ? std::string() : std::string(key) + ": ";
    return {file_, at.line, at.column, name + std::string(message)};
}

}  // namespace rotagate::config
