#include "api/rest/protocol.hpp"

#include <charconv>

#include "api/rest/message.hpp"
#include "model/json.hpp"

namespace weir::rest {
namespace {

using model::Value;

// A watch carries whole snapshots, but never more than one message may hold.
constexpr model::TextLimits message_limits{max_watch_message_bytes, 32, std::size_t{16} << 20};

std::string hex64(std::uint64_t number) {
    char text[16];
    const auto [end, failed] = std::to_chars(text, text + sizeof text, number, 16);
    const std::string digits(text, end);
    return std::string(16 - digits.size(), '0') + digits;
}

Result<std::uint64_t> parse_hex64(const std::string& text, const std::string& where) {
    std::uint64_t number = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number, 16);
    if (text.size() != 16 || failed != std::errc{} || end != text.data() + text.size()) {
        return invalid(where, "is no digest: expected 16 hexadecimal digits");
    }
    return number;
}

Result<model::ResourceKey> parse_key(const std::string& text, const char* where) {
    const std::size_t slash = text.find('/');
    if (slash == 0 || slash == std::string::npos || slash + 1 == text.size()) {
        return invalid(where, "\"" + text + "\" is not KIND/NAME");
    }
    return model::ResourceKey{text.substr(0, slash), text.substr(slash + 1)};
}

Value message(const char* type) {
    Value value;
    value.set("type", type);
    return value;
}

Value to_value(const Hello& hello) {
    Value value = message("hello");
    value.set("host", hello.host);
    value.set("applied", hello.applied);
    Value& digests = value.set("digests", Value::object());
    for (const auto& [key, digest] : hello.digests) digests.set(key.text(), hex64(digest));
    return value;
}

Value to_value(const Applied& applied) {
    Value value = message("applied");
    value.set("revision", applied.revision);
    return value;
}

void set_error(Value& value, const Error& error) {
    if (!error.object.empty()) value.set("object", error.object);
    if (!error.field.empty()) value.set("field", error.field);
    value.set("message", error.message);
}

Error get_error(const Value& value) {
    return {Errc::invalid, value["object"].as_text(), value["field"].as_text(),
            value["message"].as_text()};
}

Value to_value(const Refused& refused) {
    Value value = message("refused");
    value.set("revision", refused.revision);
    set_error(value, refused.error);
    return value;
}

Value to_value(const QueryReply& reply) {
    Value value = message("reply");
    value.set("id", reply.id);
    if (reply.body) {
        value.set("body", *reply.body);
    } else {
        set_error(value.set("error", Value::object()), reply.body.error());
    }
    return value;
}

Value to_value(const HostEvent& event) {
    Value value = message("event");
    if (event.number != 0) value.set("number", event.number);
    value.set("fields", event.fields);
    return value;
}

Value to_value(const EventsTaken& taken) {
    Value value = message("events-taken");
    value.set("number", taken.number);
    return value;
}

Value to_value(const ChangeMessage& change) {
    const model::Delta& delta = change.delta;
    Value value = message("change");
    value.set("base", delta.base_revision);
    value.set("target", delta.target_revision);
    Value& puts = value.set("puts", Value::array());
    for (const model::Document& document : delta.puts) puts.push(model::written(document));
    Value& deletes = value.set("deletes", Value::array());
    for (const model::ResourceKey& key : delta.deletes) deletes.push(key.text());
    return value;
}

Value to_value(const Query& query) {
    Value value = message("query");
    value.set("id", query.id);
    value.set("body", query.body);
    return value;
}

Result<std::uint64_t> number_at(const Value& value, const char* key) {
    const Value& found = value[key];
    if (!found.is_integer() || (found.as_int(0) < 0)) {
        return invalid(key, "expected a number that is not negative");
    }
    return found.as_uint();
}

Result<HostMessage> decode_hello(const Value& value) {
    Hello hello;
    hello.host = value["host"].as_text();
    if (hello.host.empty()) return invalid("host", "expected the name of the host");
    const auto applied = number_at(value, "applied");
    if (!applied) return applied.error();
    hello.applied = *applied;
    if (!value["digests"].is_object()) return invalid("digests", "expected a map");
    for (const Value::Member& member : value["digests"].members()) {
        auto key = parse_key(member.key, "digests");
        if (!key) return key.error();
        const auto digest = parse_hex64(member.value.as_text(), "digests." + member.key);
        if (!digest) return digest.error();
        hello.digests.insert_or_assign(std::move(*key), *digest);
    }
    return HostMessage(std::move(hello));
}

Result<HostMessage> decode_reply(const Value& value) {
    const auto id = number_at(value, "id");
    if (!id) return id.error();
    if (value["error"].is_object()) return HostMessage(QueryReply{*id, get_error(value["error"])});
    return HostMessage(QueryReply{*id, value["body"]});
}

Result<HostMessage> decode_event(const Value& value) {
    if (value.find("number") == nullptr) return HostMessage(HostEvent{0, value["fields"]});
    const auto number = number_at(value, "number");
    if (!number) return number.error();
    return HostMessage(HostEvent{*number, value["fields"]});
}

Result<ControllerMessage> decode_change(const Value& value) {
    ChangeMessage change;
    const auto base = number_at(value, "base");
    const auto target = number_at(value, "target");
    if (!base) return base.error();
    if (!target) return target.error();
    change.delta.base_revision = *base;
    change.delta.target_revision = *target;
    model::Errors errors;
    model::split_documents(value["puts"], change.delta.puts, errors);
    if (!errors.empty()) return errors.list().front();
    for (const Value& item : value["deletes"].items()) {
        auto key = parse_key(item.as_text(), "deletes");
        if (!key) return key.error();
        change.delta.deletes.push_back(std::move(*key));
    }
    return ControllerMessage(std::move(change));
}

Result<Value> parse_message(std::string_view text) {
    auto value = model::parse_json(text, message_limits);
    if (value && !value->is_object()) return invalid("message", "expected a map");
    return value;
}

Error unknown_type(const Value& value) {
    return invalid("type", "\"" + value["type"].as_text() + "\" is no message");
}

}  // namespace

std::string encode(const HostMessage& host_message) {
    return model::dump_json(std::visit([](const auto& m) { return to_value(m); }, host_message));
}

std::string encode(const ControllerMessage& controller_message) {
    return model::dump_json(
        std::visit([](const auto& m) { return to_value(m); }, controller_message));
}

Result<HostMessage> decode_host_message(std::string_view text) {
    const auto value = parse_message(text);
    if (!value) return value.error();
    const std::string& type = (*value)["type"].as_text();
    if (type == "hello") return decode_hello(*value);
    if (type == "reply") return decode_reply(*value);
    if (type == "event") return decode_event(*value);
    if (type != "applied" && type != "refused") return unknown_type(*value);
    const auto revision = number_at(*value, "revision");
    if (!revision) return revision.error();
    if (type == "applied") return HostMessage(Applied{*revision});
    return HostMessage(Refused{*revision, get_error(*value)});
}

Result<ControllerMessage> decode_controller_message(std::string_view text) {
    const auto value = parse_message(text);
    if (!value) return value.error();
    const std::string& type = (*value)["type"].as_text();
    if (type == "change") return decode_change(*value);
    if (type == "events-taken") {
        const auto number = number_at(*value, "number");
        if (!number) return number.error();
        return ControllerMessage(EventsTaken{*number});
    }
    if (type != "query") return unknown_type(*value);
    const auto id = number_at(*value, "id");
    if (!id) return id.error();
    return ControllerMessage(Query{*id, (*value)["body"]});
}

}  // namespace weir::rest
