#include "apps/weir/observations.hpp"

#include <map>

namespace weir::command {
namespace {

using model::Value;

class Reader {
public:
    void read(const Value& step) {
        const std::string& stage = step["stage"].as_text();
        const std::string& result = step["result"].as_text();
        const Value& notes = step["notes"];
        if (notes.find("spi")) spi_ = notes["spi"];
        if (notes.find("si")) si_ = notes["si"];
        if (notes.find("d")) d_ = notes["d"];
        if (stage == "deliver") return tell(step, "guest", "delivered");
        if (result != "sent" && result != "continue") return drop(step);
        if (stage == "insert" && notes.find("spi")) return insert(step);
        if (stage == "resolve" && notes.find("next")) return send_on(step);
        if (stage == "to_node" && notes.find("node")) return receive(step);
        if (stage == "from_node" && notes.find("node")) return forward(step);
        if (stage == "return" && notes.find("port")) tell(step, "anchor", "resumed");
    }
    std::vector<Value> rows() {
        if (!waiting_.empty() && !ended_) no_answer();
        return std::move(rows_);
    }

private:
    Value& row(const Value& step, const char* component, const char* event) {
        Value& out = rows_.emplace_back(Value::object());
        out.set("trace_id", step["trace_id"]);
        out.set("host", step["host"]);
        out.set("component", component);
        out.set("event", event);
        if (!spi_.is_null()) out.set("spi", spi_);
        if (!si_.is_null()) out.set("si", si_);
        if (!d_.is_null()) out.set("d", d_);
        out.set("at_ns", step["at_ns"]);
        return out;
    }
    void tell(const Value& step, const char* component, const char* event) {
        Value& out = row(step, component, event);
        for (const char* note : {"port", "call_point"})
            if (step["notes"].find(note)) out.set(note, step["notes"][note]);
        ended_ = ended_ || std::string_view(component) == "guest";
    }
    void insert(const Value& step) {
        Value& out = row(step, "anchor", "inserted");
        for (const char* note : {"rule", "chain", "path"})
            if (step["notes"].find(note)) out.set(note, step["notes"][note]);
    }
    void send_on(const Value& step) {
        row(step, "proxy", "sent").set("next", step["notes"]["next"]);
    }
    void receive(const Value& step) {
        const Value& node = step["notes"]["node"];
        row(step, "node", "received").set("node", node);
        waiting_[node.as_text()] = step;
        last_node_ = node.as_text();
    }
    void forward(const Value& step) {
        const std::string node = step["notes"]["node"].as_text();
        Value& out = row(step, "node", "forwarded");
        out.set("node", node);
        const auto since = waiting_.find(node);
        if (since == waiting_.end()) return;
        const std::uint64_t from = since->second["at_ns"].as_uint(), to = step["at_ns"].as_uint();
        out.set("dwell_us", to > from ? (to - from) / 1000 : 0);
        waiting_.erase(since);
    }
    void drop(const Value& step) {
        const bool at_node = step["stage"].as_text() == "from_node";
        Value& out = row(step, at_node ? "node" : "proxy", "dropped");
        if (step["notes"].find("node")) out.set("node", step["notes"]["node"]);
        out.set("reason", step["result"]);
        ended_ = true;
    }
    // Nothing came of the packet any more: whoever had it last has it still.
    void no_answer() {
        const auto at = waiting_.find(last_node_);
        if (at == waiting_.end()) return;
        Value& out = row(at->second, "node", "dropped");
        out.set("node", last_node_);
        out.set("reason", "no answer from " + last_node_);
    }

    std::vector<Value> rows_;
    std::map<std::string, Value> waiting_;  // nodes that have the packet, and since when
    std::string last_node_;
    Value spi_, si_, d_;
    bool ended_ = false;
};

}  // namespace

std::vector<Value> observations(const std::vector<Value>& steps) {
    Reader reader;
    for (const Value& step : steps) reader.read(step);
    return reader.rows();
}

}  // namespace weir::command
