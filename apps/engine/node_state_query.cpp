#include "apps/engine/engine.hpp"
#include "features/chain/node/node_transfer.hpp"

// How the state of service nodes leaves a host and enters another: dataplane/queries.md.
namespace weir::engine {
namespace {

using model::Value;

std::string to_hex(std::span<const std::uint8_t> bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string out;
    out.reserve(2 * bytes.size());
    for (const std::uint8_t byte : bytes) {
        out += digits[byte >> 4];
        out += digits[byte & 15];
    }
    return out;
}

// Empty if it is no such text.
std::vector<std::uint8_t> from_hex(std::string_view text) {
    const auto digit = [](char c) {
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    };
    std::vector<std::uint8_t> out;
    out.reserve(text.size() / 2);
    for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
        const int high = digit(text[i]), low = digit(text[i + 1]);
        if (high < 0 || low < 0) return {};
        out.push_back(static_cast<std::uint8_t>(high << 4 | low));
    }
    return text.size() % 2 == 0 ? out : std::vector<std::uint8_t>();
}

// A row, as the others' answers stand beside it.
Value refusal(std::uint32_t worker, const Error& error) {
    Value answer = Value::object();
    Value& row = answer.set("rows", Value::array()).push(Value::object());
    row.set("worker", worker);
    row.set("error", error.text());
    return answer;
}

}  // namespace

Value Engine::save_node(Worker& worker, const Program& program, const Value& request,
                        std::uint64_t now_ns) {
    auto part = chain::save_node(worker.pipeline.table<chain::ToNode>(program.tables),
                                 worker.pipeline.state<chain::ToNode>(),
                                 request["node"].as_text(),
                                 static_cast<std::uint32_t>(request["from"].as_uint()), now_ns);
    if (!part) return refusal(worker.emit.worker, part.error());
    Value answer = Value::object();
    Value& row = answer.set("rows", Value::array()).push(Value::object());
    row.set("worker", worker.emit.worker);
    row.set("identity", part->identity);
    row.set("next", part->next);
    row.set("state", to_hex(part->bytes));
    return answer;
}

Value Engine::restore_node(Worker& worker, const Program& program, const Value& request,
                           std::uint64_t now_ns) {
    const auto bytes = from_hex(request["state"].as_text());
    const auto part = chain::restore_node(worker.pipeline.table<chain::ToNode>(program.tables),
                                          worker.pipeline.state<chain::ToNode>(), bytes, now_ns);
    if (!part) return refusal(worker.emit.worker, part.error());
    Value answer = Value::object();
    Value& row = answer.set("rows", Value::array()).push(Value::object());
    row.set("worker", worker.emit.worker);
    row.set("taken", part->taken);
    row.set("renumbered", part->renumbered);
    row.set("lost", part->lost);
    return answer;
}

}  // namespace weir::engine
