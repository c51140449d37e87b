#include "apps/host/move_queries.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <string_view>

#include "apps/host/shell.hpp"
#include "base/base64.hpp"

namespace weir::host {
namespace {

using model::Value;

constexpr std::uint64_t default_answer_bytes = 256u << 10, most_answer_bytes = 4u << 20;
constexpr std::uint64_t default_stub_ms = 30'000, most_stub_ms = 600'000;

Value refusal(const Error& error) {
    Value answer = Value::object();
    answer.set("error", error.text());
    return answer;
}

Value done(const Status& status) {
    return status ? Value::object() : refusal(status.error());
}

std::uint32_t number(const Value& request, const char* key) {
    return static_cast<std::uint32_t>(request[key].as_uint());
}

Value prepare(PortMoves& moves, const std::string& port, const Value& request) {
    const auto anchor = moves.prepare(port, number(request, "from_host"));
    if (!anchor) return refusal(anchor.error());
    Value answer = Value::object();
    answer.set("anchor", *anchor);
    return answer;
}

// All blobs, or those before the first that a worker refuses: of that one, workers before it have
// their share. Whoever leads the move gives it up then, and all of it goes.
Value load(PortMoves& moves, const std::string& port, const Value& request) {
    std::string handles;
    for (const Value& text : request["blobs"].items()) {
        const auto blob = from_base64(text.as_text());
        if (!blob) return refusal(invalid("blobs", "is not base64"));
        const auto loaded = moves.load(port, *blob);
        if (!loaded) return refusal(loaded.error());
        handles += *loaded;
    }
    Value answer = Value::object();
    answer.set("flows", static_cast<std::uint64_t>(handles.size() / 8));
    answer.set("handles", to_base64(handles));
    return answer;
}

Value save(PortMoves& moves, const std::string& port, const Value& request) {
    const auto most =
        std::clamp(request["max_bytes"].as_uint(default_answer_bytes), std::uint64_t{1},
                   most_answer_bytes);
    const auto saved = moves.save(port, request["begin"].as_bool(), request["delta"].as_bool(),
                                  static_cast<std::size_t>(most));
    if (!saved) return refusal(saved.error());
    Value answer = Value::object();
    Value& blobs = answer.set("blobs", Value::array());
    for (const std::string& blob : saved->blobs) blobs.push(to_base64(blob));
    answer.set("done", saved->done);
    return answer;
}

Value learn_handles(PortMoves& moves, const std::string& port, const Value& request) {
    const auto handles = from_base64(request["handles"].as_text());
    if (!handles) return refusal(invalid("handles", "is not base64"));
    return done(moves.learn_handles(port, *handles));
}

Value forward(PortMoves& moves, const std::string& port, const Value& request) {
    const std::uint64_t ms = std::min(request["stub_ms"].as_uint(default_stub_ms), most_stub_ms);
    return done(moves.forward(port, number(request, "to_host"), number(request, "to_anchor"),
                              ms * 1'000'000));
}

Value state(PortMoves& moves, const std::string& port, const Value&) {
    Value answer = Value::object();
    answer.set("state", moves.arrival_state(port));
    return answer;
}

}  // namespace

Value answer_move(Shell& shell, const Value& request) {
    using Answer = std::function<Value(PortMoves&, const std::string&, const Value&)>;
    static const std::map<std::string_view, Answer> answers = {
        {"prepare", prepare},
        {"load", load},
        {"save", save},
        {"handles", learn_handles},
        {"forward", forward},
        {"state", state},
        {"freeze", [](auto& m, const auto& port, const auto&) { return done(m.freeze(port)); }},
        {"hold", [](auto& m, const auto& port, const auto&) { return done(m.hold(port)); }},
        {"thaw", [](auto& m, const auto& port, const auto&) { return done(m.thaw(port)); }},
        {"activate", [](auto& m, const auto& port, const auto&) { return done(m.activate(port)); }},
        {"abandon", [](auto& m, const auto& port, const auto&) { return done(m.abandon(port)); }},
    };
    const std::string& what = request["what"].as_text();
    const auto found = answers.find(std::string_view(what).substr(sizeof "host-move-" - 1));
    if (found == answers.end()) return refusal(invalid("what", "no host answers " + what));
    return found->second(shell.moves(), request["port"].as_text(), request);
}

}  // namespace weir::host
