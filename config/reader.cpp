#include "config/reader.hpp"

#include <algorithm>

namespace rotagate::config {
namespace {

bool has_control_character(std::string_view text) {
    return std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; });
}

std::string without_quotes(const std::string& quoted_text) { return quoted_text.substr(1, quoted_text.size() - 2); }

std::string_view cure_for(TreeNode::Kind wanted) {
    switch (wanted) {
        case TreeNode::Kind::list:
            return "is not a list; write [first, second], or a line with \"- \" for each";
        case TreeNode::Kind::map:
            return "is not a map; write { key: value }, or indented lines of key: value";
        default:
            return "is not a single value; write it on one line, in quotes where it has special characters";
    }
}

const TreeNode& nothing() {
    static const TreeNode empty;
    return empty;
}

}  // namespace

Reader::Reader(const TreeNode& map, std::string name, Report& report)
    : at_(map.at), name_(std::move(name)), report_(&report) {
    for (const TreeNode& value : map.children) {
        const auto [first, fresh] = values_.try_emplace(value.key, &value);
        if (fresh) {
            order_.push_back(value.key);
        } else {
            const auto line = std::to_string(first->second->key_at.line);
            report_->error(value.key_at,
                           this->name(value.key) + ": is given twice, first on line " + line + "; keep one");
        }
    }
}

std::string Reader::name(std::string_view key) const {
    const std::string shown = without_quotes(in_quotes(key));
    return name_.empty() ? shown : name_ + "." + shown;
}

const TreeNode* Reader::find(std::string_view key) {
    known_.emplace(key);
    const auto found = values_.find(key);
    return found == values_.end() ? nullptr : found->second;
}

const TreeNode* Reader::find(std::string_view key, TreeNode::Kind kind) {
    const TreeNode* node = find(key);
    if (!node || node->kind == kind) return node;
    refuse(*node, name(key), std::string(cure_for(kind)));
    return nullptr;
}

bool Reader::has(std::string_view key) { return find(key) != nullptr; }

Position Reader::position(std::string_view key) const {
    const auto found = values_.find(key);
    return found == values_.end() ? at_ : found->second->at;
}

bool Reader::is_empty(std::string_view key) const {
    const auto found = values_.find(key);
    return found != values_.end() && found->second->kind != TreeNode::Kind::text && found->second->children.empty();
}

void Reader::error(std::string_view key, std::string_view message) {
    report_->error(position(key), name(key) + ": " + std::string(message));
}

void Reader::warning(std::string_view key, std::string_view message) {
    report_->warning(position(key), name(key) + ": " + std::string(message));
}

void Reader::bad_key(std::string_view key, std::string_view message) {
    const auto found = values_.find(key);
    report_->error(found == values_.end() ? at_ : found->second->key_at, name(key) + ": " + std::string(message));
}

void Reader::missing(std::string_view key, std::string_view cure) {
    error(key, "is missing; write " + std::string(cure));
}

void Reader::refuse(const TreeNode& node, const std::string& name, const std::string& why) {
    const bool has_text = node.kind == TreeNode::Kind::text;
    report_->error(node.at, name + ": " + (has_text ? in_quotes(node.text) + " " : "") + why);
}

bool Reader::is_text(const TreeNode& node, const std::string& name) {
    if (node.kind == TreeNode::Kind::null)
        refuse(node, name, "has no value; write one, or remove the line");
    else if (node.kind != TreeNode::Kind::text)
        refuse(node, name, std::string(cure_for(TreeNode::Kind::text)));
    else if (has_control_character(node.text))
        refuse(node, name, "has a line end or another control character; remove it");
    else
        return true;
    return false;
}

bool Reader::read(std::string_view key, bool& into) {
    const TreeNode* node = find(key);
    if (!node || !is_text(*node, name(key))) return false;
    if (node->is_quoted || (node->text != "true" && node->text != "false"))
        return refuse(*node, name(key), "is not a boolean; write true or false, without quotes"), false;
    into = node->text == "true";
    return true;
}

std::optional<Reader> Reader::map(std::string_view key) {
    const TreeNode* node = find(key);
    if (!node) return std::nullopt;
    if (node->kind == TreeNode::Kind::map) return Reader(*node, name(key), *report_);
    if (node->kind == TreeNode::Kind::null) return empty_at(node->at, name(key));
    refuse(*node, name(key), std::string(cure_for(TreeNode::Kind::map)));
    return std::nullopt;
}

Reader Reader::map_or_empty(std::string_view key) {
    auto reader = map(key);
    return reader ? std::move(*reader) : empty_at(position(key), name(key));
}

std::vector<Reader> Reader::maps(std::string_view key) {
    std::vector<Reader> readers;
    const TreeNode* list = find(key, TreeNode::Kind::list);
    if (!list) return readers;
    for (std::size_t i = 0; i < list->children.size(); ++i) {
        const TreeNode& item = list->children[i];
        const std::string item_name = name(key) + index(i);
        if (item.kind == TreeNode::Kind::map)
            readers.emplace_back(item, item_name, *report_);
        else
            refuse(item, item_name, std::string(cure_for(TreeNode::Kind::map)));
    }
    return readers;
}

Reader Reader::empty_at(Position at, std::string name) const {
    Reader reader(nothing(), std::move(name), *report_);
    reader.at_ = at;
    return reader;
}

void Reader::reject_unknown() {
    const std::vector<std::string> known(known_.begin(), known_.end());
    for (const std::string& key : order_) {
        if (known_.contains(key)) continue;
        const std::string guess = did_you_mean(key, known);
        bad_key(key, "is not a known key;" + (guess.empty() ? " known here are " + listed(known, "and") : guess));
    }
}

}  // namespace rotagate::config
