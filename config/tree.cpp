#include "config/tree.hpp"

#include <map>
#include <sstream>

#include <yaml-cpp/anchor.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

namespace rotagate::config {
namespace {

/// Ends the parsing: what follows a refused construct would only be misread.
struct Refused {
    Position at;
    std::string message;
};

Position position(const YAML::Mark& mark) { return {mark.line + 1, mark.column + 1}; }

std::size_t count(const TreeNode& node) {
    std::size_t n = 1;
    for (const TreeNode& child : node.children) n += count(child);
    return n;
}

/// Builds the tree from the parser's events. Working on events bounds the parser's recursion (it descends only as far
/// as events are taken) and what aliases may copy.
class TreeBuilder : public YAML::EventHandler {
public:
    std::optional<TreeNode> root;
    int documents = 0;
    Position document_at;

    void OnDocumentStart(const YAML::Mark& mark) override {
        document_at = position(mark);
        if (++documents > 1)
            throw Refused{document_at, "the document ends before this; a configuration is one document"};
    }
    void OnDocumentEnd() override {}

    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        add(leaf(mark, TreeNode::Kind::null), anchor);
    }

    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& value) override {
        refuse_tag(mark, tag);
        TreeNode node = leaf(mark, TreeNode::Kind::text);
        node.text = value;
        node.is_quoted = tag == "!";
        add(std::move(node), anchor);
    }

    void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        const auto found = anchors_.find(anchor);
        if (found == anchors_.end()) throw Refused{position(mark), "an alias inside of what it stands for has no end"};
        aliased_ += count(found->second);
        if (aliased_ > max_aliased_nodes)
            throw Refused{position(mark), "the aliases stand for more than " + std::to_string(max_aliased_nodes) +
                                              " values; write them out"};
        add(found->second, 0);
    }

    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override {
        open(mark, tag, anchor, TreeNode::Kind::list);
    }
    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override {
        open(mark, tag, anchor, TreeNode::Kind::map);
    }
    void OnSequenceEnd() override { close(); }
    void OnMapEnd() override { close(); }

private:
    /// A list or map that is not complete yet.
    struct Open {
        TreeNode node;
        YAML::anchor_t anchor;
        std::optional<TreeNode> key;  ///< of a map: read, and waiting for its value
    };

    static TreeNode leaf(const YAML::Mark& mark, TreeNode::Kind kind) {
        TreeNode node;
        node.kind = kind;
        node.at = position(mark);
        return node;
    }

    /// "?" and "!" are what the parser calls plain and quoted.
    static void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
        if (!tag.empty() && tag != "?" && tag != "!")
            throw Refused{position(mark), "tags such as !!str have no meaning here; write the value alone"};
    }

    void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, TreeNode::Kind kind) {
        refuse_tag(mark, tag);
        if (stack_.size() >= max_depth)
            throw Refused{position(mark), "nested deeper than " + std::to_string(max_depth) + " levels"};
        if (!stack_.empty() && stack_.back().node.kind == TreeNode::Kind::map && !stack_.back().key)
            throw Refused{position(mark), "a list or map cannot be a key; write a plain word"};
        stack_.push_back({leaf(mark, kind), anchor, std::nullopt});
    }

    void close() {
        Open done = std::move(stack_.back());
        stack_.pop_back();
        add(std::move(done.node), done.anchor);
    }

    void add(TreeNode node, YAML::anchor_t anchor) {
        if (anchor != 0) anchors_[anchor] = node;
        if (stack_.empty()) {
            root = std::move(node);
        } else if (Open& parent = stack_.back(); parent.node.kind == TreeNode::Kind::list) {
            parent.node.children.push_back(std::move(node));
        } else if (!parent.key) {
            if (node.kind != TreeNode::Kind::text) throw Refused{node.at, "a key must be a plain word"};
            parent.key = std::move(node);
        } else {
            node.key = std::move(parent.key->text);
            node.key_at = parent.key->at;
            if (node.kind == TreeNode::Kind::null) node.at = node.key_at;
            parent.key.reset();
            parent.node.children.push_back(std::move(node));
        }
    }

    std::vector<Open> stack_;
    std::map<YAML::anchor_t, TreeNode> anchors_;
    std::size_t aliased_ = 0;
};

/// The length of the UTF-8 sequence at text[i], by RFC 3629 section 4; 0 where there is none.
std::size_t utf8_length(std::string_view text, std::size_t i) {
    const auto byte = [&](std::size_t n) -> unsigned {
        return n < text.size() ? static_cast<unsigned char>(text[n]) : 0;
    };
    const auto tail = [&](std::size_t n) { return (byte(n) & 0xC0) == 0x80; };
    const unsigned b0 = byte(i), b1 = byte(i + 1);
    if (b0 < 0x80) return 1;
    if (b0 >= 0xC2 && b0 <= 0xDF) return tail(i + 1) ? 2 : 0;
    if (b0 >= 0xE0 && b0 <= 0xEF) {
        const bool overlong = b0 == 0xE0 && b1 < 0xA0, surrogate = b0 == 0xED && b1 > 0x9F;
        return !overlong && !surrogate && tail(i + 1) && tail(i + 2) ? 3 : 0;
    }
    if (b0 >= 0xF0 && b0 <= 0xF4) {
        const bool overlong = b0 == 0xF0 && b1 < 0x90, beyond = b0 == 0xF4 && b1 > 0x8F;
        return !overlong && !beyond && tail(i + 1) && tail(i + 2) && tail(i + 3) ? 4 : 0;
    }
    return 0;
}

void require_text(const std::string& text) {
    if (text.size() > max_file_bytes) throw Refused{{}, "the file is larger than 1 MiB"};
    Position at;
    for (std::size_t i = 0; i < text.size();) {
        const auto length = utf8_length(text, i);
        if (length == 0) throw Refused{at, "not UTF-8; save the file in that encoding"};
        const auto c = static_cast<unsigned char>(text[i]);
        if ((c < 0x20 && c != '\n' && c != '\r' && c != '\t') || c == 0x7F)
            throw Refused{at, "a control character; remove it"};
        at = c == '\n' ? Position{at.line + 1, 1} : Position{at.line, at.column + static_cast<int>(length)};
        i += length;
    }
}

TreeNode build(const std::string& text, const FileCures& cures) {
    require_text(text);
    std::istringstream in(text + "\n...\n");  // else a quote that nobody closes would run to the end unnoticed
    YAML::Parser parser(in);
    TreeBuilder builder;
    parser.HandleNextDocument(builder);
    if (!builder.root || builder.root->kind == TreeNode::Kind::null)
        throw Refused{{}, "the file is empty; " + std::string(cures.empty)};
    if (builder.root->kind != TreeNode::Kind::map) throw Refused{builder.root->at, std::string(cures.no_map)};
    parser.HandleNextDocument(builder);
    return std::move(*builder.root);
}

}  // namespace

std::optional<TreeNode> parse_tree(const std::string& text, Report& report, const FileCures& cures) {
    try {
        return build(text, cures);
    } catch (const Refused& refused) {
        report.error(refused.at, refused.message);
    } catch (const YAML::Exception& e) {
        report.error(e.mark.is_null() ? Position{} : position(e.mark), "not YAML: " + e.msg);
    }
    return std::nullopt;
}

}  // namespace rotagate::config
