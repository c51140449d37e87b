#include "apps/controller/read_move.hpp"

#include <chrono>
#include <optional>
#include <vector>

#include "apps/controller/node_move.hpp"
#include "apps/controller/port_move.hpp"
#include "base/closest.hpp"

namespace weir::controller {
namespace {

using model::MoveSubject;
using model::Value;
using std::chrono::milliseconds;

constexpr milliseconds most_patience{3'600'000}, most_stub{600'000};

// Reads members by name; the first thing that is wrong is what remains.
class Reader {
public:
    explicit Reader(const Value& body) : body_(body) {
        if (!body.is_object())
            refuse({}, "expected an object, not " + std::string(body.type_name()));
    }

    void read(std::string_view name, bool& into) {
        if (const Value* value = member(name)) {
            if (!value->is_bool()) return expected(name, "true or false", *value);
            into = value->as_bool();
        }
    }
    void read(std::string_view name, std::string& into) {
        if (const Value* value = member(name)) {
            if (!value->is_text()) return expected(name, "text", *value);
            into = value->as_text();
        }
    }
    void read(std::string_view name, milliseconds& into, milliseconds most) {
        if (const Value* value = member(name)) {
            const auto limit = static_cast<std::uint64_t>(most.count());
            const std::uint64_t ms = value->as_uint(limit + 1);
            if (!value->is_integer() || ms > limit)
                return expected(name, "milliseconds, at most " + std::to_string(limit), *value);
            into = milliseconds(ms);
        }
    }
    // What is wrong, if anything is. After everything that may be there was read.
    Status end() {
        for (const auto& one : body_.members()) {
            bool is_known = false;
            for (const std::string_view name : known_) is_known |= name == one.key;
            if (!is_known) refuse(one.key, "is unknown" + did_you_mean(one.key, known_));
        }
        if (wrong_) return *wrong_;
        return {};
    }

private:
    const Value* member(std::string_view name) {
        known_.push_back(name);
        return body_.find(name);
    }
    void expected(std::string_view name, std::string_view what, const Value& found) {
        refuse(name, "expected " + std::string(what) +
                         (found.is_integer() ? "" : ", not " + std::string(found.type_name())));
    }
    void refuse(std::string_view name, std::string why) {
        if (!wrong_) wrong_ = Error{Errc::invalid, "request", std::string(name), std::move(why)};
    }

    const Value& body_;
    std::vector<std::string_view> known_;
    std::optional<Error> wrong_;
};

}  // namespace

Result<MoveOrder> read_move(const Value& body, MoveSubject subject, const std::string& object) {
    Reader reader(body);
    if (subject == MoveSubject::service_node) {
        NodeMoveOrder order;
        order.node = object;
        reader.read("to", order.to);
        reader.read("without_state", order.without_state);
        reader.read("wait_frozen", order.wait_frozen);
        reader.read("patience_ms", order.patience, most_patience);
        if (Status read = reader.end(); !read) return read.error();
        return move_of_node(std::move(order));
    }
    PortMoveOrder order;
    order.port = object;
    reader.read("to", order.to);
    reader.read("dry_run", order.dry_run);
    reader.read("force", order.force);
    reader.read("wait_ready", order.wait_ready);
    reader.read("wait_frozen", order.wait_frozen);
    reader.read("stub_ms", order.stub, most_stub);
    reader.read("patience_ms", order.patience, most_patience);
    if (Status read = reader.end(); !read) return read.error();
    return move_of_port(std::move(order));
}

}  // namespace weir::controller
