#pragma once
#include <cstdint>
#include <string>

#include "model/describe.hpp"
#include "model/match.hpp"

namespace weir::model {

enum class MoveSubject : std::uint8_t { port = 1, service_node };
constexpr auto enum_names(MoveSubject) {
    using enum MoveSubject;
    return EnumNames<MoveSubject, 2>{{{port, "port"}, {service_node, "service-node"}}};
}

enum class MoveOutcome : std::uint8_t { under_way = 1, done, failed };
constexpr auto enum_names(MoveOutcome) {
    using enum MoveOutcome;
    return EnumNames<MoveOutcome, 3>{
        {{under_way, "under_way"}, {done, "done"}, {failed, "failed"}}};
}

// What a controller must know of a move that it, or the one before it, leads; afterwards what
// became of it. Stored with what hosts report.
struct Move {
    std::string name;
    MoveSubject subject = MoveSubject::port;
    std::string object;
    std::string from, to;
    std::string state;
    MoveOutcome outcome = MoveOutcome::under_way;
    std::string why;
    std::string started, ended;
    std::uint32_t frozen_ms = 0;
    std::uint32_t patience_ms = 30'000;
    std::uint32_t stub_ms = 30'000;
    std::uint32_t anchor = 0;
    bool wait_frozen = false;

    static constexpr auto schema() {
        return made_resource(
            "move", "The newest move of a port or service node to another host. Made by Weir.", "",
            key(&Move::name, "name", "What is moved, and its name."),
            field(&Move::subject, "subject", "What is moved."),
            field(&Move::object, "object", "Its name."),
            field(&Move::from, "from", "Host that it leaves."),
            field(&Move::to, "to", "Host that it goes to."),
            field(&Move::state, "state", "How far it has come, or had come when it failed."),
            field(&Move::outcome, "outcome", "What became of it."),
            field(&Move::why, "why", "Why it failed."),
            field(&Move::started, "started", "When it began."),
            field(&Move::ended, "ended", "When it ended."),
            field(&Move::frozen_ms, "frozen_ms", "For how long packets waited.").unit("ms"),
            field(&Move::patience_ms, "patience_ms",
                  "How long it waits for those who move the machine.")
                .unit("ms"),
            field(&Move::stub_ms, "stub_ms",
                  "For how long the old host sends on what comes for a port.")
                .unit("ms"),
            field(&Move::anchor, "anchor", "Number of the port at its new host."),
            field(&Move::wait_frozen, "wait_frozen",
                  "Of a service node: frozen, it waits until somebody says that the machine has "
                  "moved."));
    }
};

// The name of the move of port or node `object`; the same in every controller.
std::string move_name(MoveSubject subject, const std::string& object);

}  // namespace weir::model
