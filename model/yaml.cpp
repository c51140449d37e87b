#include "model/yaml.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <array>
#include <cctype>
#include <map>
#include <sstream>

#include "model/scalars.hpp"

namespace weir::model {

namespace {

// Leaves the parser with the reason; caught in parse_yaml().
struct Refused {
    Error error;
};

[[noreturn]] void refuse(Errc code, std::string why, std::uint32_t line) {
    throw Refused{{code, {}, {}, std::move(why) + " (line " + std::to_string(line) + ")"}};
}

std::uint32_t line_of(const YAML::Mark& mark) {
    return static_cast<std::uint32_t>(mark.line < 0 ? 0 : mark.line + 1);
}

std::size_t count_values(const Value& value) {
    std::size_t sum = 1;
    for (const Value& item : value.items()) sum += count_values(item);
    for (const auto& member : value.members()) sum += count_values(member.value);
    return sum;
}

std::size_t depth_of(const Value& value) {
    std::size_t deepest = 0;
    for (const Value& item : value.items()) deepest = std::max(deepest, depth_of(item));
    for (const auto& m : value.members()) deepest = std::max(deepest, depth_of(m.value));
    return value.is_array() || value.is_object() ? deepest + 1 : 0;
}

// Builds the tree of one document after the other from the parser's events.
class Builder final : public YAML::EventHandler {
public:
    explicit Builder(const TextLimits& limits) : limits_(limits) {}

    // The parser stays where it is, for ever, at a token that can start nothing.
    void OnDocumentStart(const YAML::Mark& mark) override {
        if (!documents.empty() && mark.pos <= document_start_)
            refuse(Errc::invalid, "not YAML: nothing may follow here", line_of(mark));
        document_start_ = mark.pos;
        anchors_.clear();
        root_ = Value();
    }
    void OnDocumentEnd() override { documents.push_back(std::move(root_)); }
    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        add(Value(), mark, anchor);
    }
    void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        const auto at = anchors_.find(anchor);
        if (at == anchors_.end()) refuse(Errc::invalid, "an alias within itself", line_of(mark));
        if (open_.size() + depth_of(at->second) > limits_.max_depth) refuse_depth(mark);
        count(count_values(at->second), mark);
        place(at->second, mark);
    }
    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& text) override {
        const bool is_text = tag == "!" || tag == "tag:yaml.org,2002:str";
        if (!is_text && tag != "?" && !tag.empty())
            refuse(Errc::invalid, "the tag " + in_quotes(tag) + " is not supported", line_of(mark));
        if (!is_text && (text.empty() || text == "~" || text == "null"))
            return add(Value(), mark, anchor);
        add(is_text ? Value(text) : Value::word(text), mark, anchor);
    }
    void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override {
        open(Value::array(), mark, anchor);
    }
    void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override {
        open(Value::object(), mark, anchor);
    }
    void OnSequenceEnd() override { close(); }
    void OnMapEnd() override { close(); }

    std::vector<Value> documents;

private:
    struct Open {
        Value value;
        YAML::Mark mark;
        YAML::anchor_t anchor;
        std::string key{};
        bool has_key = false;
    };

    [[noreturn]] void refuse_depth(const YAML::Mark& mark) const {
        refuse(Errc::limit, "nested deeper than " + std::to_string(limits_.max_depth),
               line_of(mark));
    }
    void count(std::size_t values, const YAML::Mark& mark) {
        count_ += values;
        if (count_ > limits_.max_values)
            refuse(Errc::limit, "more than " + std::to_string(limits_.max_values) + " values",
                   line_of(mark));
    }
    void add(Value value, const YAML::Mark& mark, YAML::anchor_t anchor) {
        count(1, mark);
        value.line = line_of(mark);
        if (anchor != YAML::NullAnchor) anchors_[anchor] = value;
        place(std::move(value), mark);
    }
    void open(Value value, const YAML::Mark& mark, YAML::anchor_t anchor) {
        if (open_.size() >= limits_.max_depth) refuse_depth(mark);
        count(1, mark);
        value.line = line_of(mark);
        open_.push_back({std::move(value), mark, anchor});
    }
    void close() {
        Open done = std::move(open_.back());
        open_.pop_back();
        if (done.anchor != YAML::NullAnchor) {
            count(count_values(done.value), done.mark);
            anchors_[done.anchor] = done.value;
        }
        place(std::move(done.value), done.mark);
    }
    void place(Value value, const YAML::Mark& mark) {
        if (open_.empty()) return void(root_ = std::move(value));
        Open& parent = open_.back();
        if (parent.value.is_array()) {
            parent.value.push(std::move(value));
        } else if (!parent.has_key) {
            if (!value.is_text()) refuse(Errc::invalid, "a key must be text", line_of(mark));
            parent.key = value.as_text();
            parent.has_key = true;
        } else {
            parent.value.edit_members().push_back({std::move(parent.key), std::move(value)});
            parent.has_key = false;
        }
    }

    TextLimits limits_;
    int document_start_ = 0;
    Value root_;
    std::vector<Open> open_;
    std::map<YAML::anchor_t, Value> anchors_;
    std::size_t count_ = 0;
};

// The emitter quotes what its own reader would take apart, but for controls, the marks between
// documents, and words that other readers of YAML take for something else.
bool needs_quotes(const std::string& text) {
    static constexpr std::array<std::string_view, 4> words = {"yes", "no", "on", "off"};
    const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20; };
    return text.empty() || std::ranges::find(words, text) != words.end() ||
           !(std::isalnum(static_cast<unsigned char>(text[0])) || text[0] == '/') ||
           std::ranges::any_of(text, is_control) || !Value::word(text).resolved().is_text();
}

void emit_text(YAML::Emitter& out, const std::string& text) {
    if (needs_quotes(text)) out << YAML::DoubleQuoted;
    out << text;
}

void emit(YAML::Emitter& out, const Value& value) {
    if (value.is_object()) {
        if (value.size() == 0) out << YAML::Flow;
        out << YAML::BeginMap;
        for (const auto& [key, member] : value.members()) {
            out << YAML::Key;
            emit_text(out, key);
            out << YAML::Value;
            emit(out, member);
        }
        out << YAML::EndMap;
    } else if (value.is_array()) {
        const bool scalars = std::ranges::none_of(
            value.items(), [](const Value& v) { return v.is_array() || v.is_object(); });
        if (scalars) out << YAML::Flow;
        out << YAML::BeginSeq;
        for (const Value& item : value.items()) emit(out, item);
        out << YAML::EndSeq;
    } else if (value.is_text() && !value.is_word()) {
        emit_text(out, value.as_text());
    } else if (value.is_null()) {
        out << YAML::Null;
    } else {
        out << (value.is_word() ? value.as_text() : dump_json(value));
    }
}

}  // namespace

Result<std::vector<Value>> parse_yaml(std::string_view text, const TextLimits& limits) {
    if (text.size() > limits.max_bytes)
        return Error{Errc::limit,
                     {},
                     {},
                     "the text is longer than " + std::to_string(limits.max_bytes) + " bytes"};
    if (!is_text(text)) return invalid({}, "the text is not valid UTF-8");
    try {
        std::istringstream stream{std::string(text)};
        YAML::Parser parser(stream);
        Builder builder(limits);
        while (parser.HandleNextDocument(builder)) {
        }
        return std::move(builder.documents);
    } catch (const Refused& refused) {
        return refused.error;
    } catch (const YAML::Exception& error) {
        return invalid(
            {}, "not YAML: " + error.msg + " (line " + std::to_string(line_of(error.mark)) + ")");
    }
}

std::vector<Document> parse_documents(std::string_view text, Errors& errors) {
    std::vector<Document> out;
    const auto values = parse_yaml(text);
    if (!values) {
        errors.add(values.error());
        return out;
    }
    for (const Value& value : *values) {
        split_documents(value, out, errors);
        if (out.size() <= max_resources) continue;
        errors.add(
            {Errc::limit, {}, {}, "more than " + std::to_string(max_resources) + " resources"});
        return {};
    }
    return out;
}

std::string dump_yaml(const Value& value) {
    YAML::Emitter out;
    emit(out, value);
    return std::string(out.c_str(), out.size()) + "\n";
}

std::string dump_documents(const std::vector<Document>& documents) {
    std::string out;
    for (const Document& document : documents) {
        if (!out.empty()) out += "---\n";
        out += dump_yaml(written(document));
    }
    return out;
}

}  // namespace weir::model
