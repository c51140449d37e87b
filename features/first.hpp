#pragma once
#include <array>
#include <cstdint>

#include "features/all.hpp"
#include "features/known_rules.hpp"
#include "flow/table.hpp"
#include "flow/tcp.hpp"
#include "net/quick.hpp"

namespace weir::features {

// First packets in the pass of Express: makes the record of a flow that is new and plain.
//
// Plain is UDP, or TCP that begins with a SYN, in a guest's own name, allowed by the firewall
// without a log line, without services. That is asked of the tables of the stages, once for each
// flow; everything else stays for the stages, before anything has changed. Where packets go is not
// decided here at all: the stages do that for one flow of each way (port, destination MAC and, if
// routed, destination address), and the next ones get the same program. The first answer of a flow
// gets its program the same way.
class First {
public:
    First(dataplane::Emit& emit, Plane::Worker& pipeline)
        : emit_(emit), pipeline_(pipeline), rules_(pipeline) {}

    // A burst begins. Learns the ways that packets of the last one had to take to the stages.
    void begin(const Plane::Tables& tables);

    // What is done with packets from the guest of `port` to whom the frame is addressed; null: the
    // stages must look.
    const dataplane::ActionProgram* way_out(const dataplane::PortEntry& port, std::uint64_t to_mac,
                                            const net::QuickFrame& frame) {
        const Place& last = last_[to_mac == own_guest];
        if (last.mac == to_mac && last.scope == port.scope && last.epoch == port.epoch) [[likely]] {
            program_ = last.program;
            if (const auto* program = whole(program_, port)) return program;
        }
        return find_way_out(port, to_mac, frame);
    }
    // … with packets to the guest of `port`.
    const dataplane::ActionProgram* way_in(const dataplane::PortEntry& port,
                                           const net::QuickFrame& frame) {
        return way_out(port, own_guest, frame);
    }

    struct Packet {
        const dataplane::PortEntry& port;
        const net::QuickFrame& frame;
        const std::uint8_t* l4;  // its TCP or UDP header
        std::uint32_t bytes;     // of the Ethernet frame
        bool outgoing;           // the guest of `port` sent it
    };
    // Makes the record, counts the packet, and gives its direction the program that was asked for
    // last. False: nothing has happened, the stages must look.
    bool open(const Packet& packet);
    // The same for the guest of `port` and that of `to` in one: two records that are fused. False:
    // nothing has happened; ask for each.
    bool open_both(const Packet& packet, const dataplane::PortEntry& to);
    // The number of the program that was asked for last; or another one in its place.
    std::uint32_t asked_for() const { return program_; }
    void ask_for(std::uint32_t program) { program_ = program; }

    // Whether the guest of the port has used its rate of new flows up (`flow-limits`).
    bool begins_too_much(const dataplane::PortEntry& port) const {
        return pipeline_.state<tracking::Track>().ports[port.index].budget.is_used_up(
            port.flow_limits, emit_.workers, emit_.now_ns);
    }
    // Counts the packet as refused for that, as the stages would, only cheaper: a flood must not
    // slow others down. False: nothing has happened, the stages must look.
    bool refuse(const Packet& packet);

    // What is done with packets of a flow that has its decisions, in a direction that has no
    // program under the port's epoch: its first answer, or the first packet after a change that did
    // not concern it. Null: the stages must look.
    const dataplane::ActionProgram* way_on(const dataplane::PortEntry& port, bool outgoing,
                                           std::uint64_t to_mac, const net::QuickFrame& frame,
                                           const flow::FlowPair& pair);
    // Gives the direction the program that was asked for last, once the flow has taken the packet.
    void go_on(const Packet& packet, flow::Hot& hot);
    // What Insert counts of it.
    void pass_on(const dataplane::PortEntry& port, bool outgoing, std::uint32_t bytes);

    std::uint64_t opened() const { return opened_; }  // records

private:
    static constexpr std::uint64_t own_guest = 1ull << 48;  // no MAC

    struct Place {
        std::uint64_t mac = 0;
        net::Ip address;  // zero unless packets are routed
        std::uint32_t scope = 0, epoch = 0;
        std::uint32_t program = dataplane::ProgramStore::none;
    };
    struct Question {
        std::uint64_t mac = 0;
        net::Tuple tuple;
        std::uint32_t hash = 0, port = 0;
    };
    // Ways that share a row do not drive each other out by turns, unless there are more than two.
    using Row = std::array<Place, 2>;
    Row& row_of(std::uint32_t scope, std::uint64_t mac, const net::Ip& address);
    const Place* find(const dataplane::PortEntry& port, std::uint64_t mac, const net::Ip& address);
    void learn(const Question& question);
    const dataplane::ActionProgram* find_way_out(const dataplane::PortEntry& port,
                                                 std::uint64_t to_mac,
                                                 const net::QuickFrame& frame);
    // A program that leads past no service, under the port's present epoch.
    const dataplane::ActionProgram* whole(std::uint32_t number,
                                          const dataplane::PortEntry& port) const {
        const dataplane::ActionProgram* program = emit_.program(number);
        const bool fits =
            program && program->act_before == 0 && program->behind_is(port.epoch, emit_.engine);
        return fits ? program : nullptr;
    }
    void set_program(const dataplane::PortEntry& port, flow::Hot& hot) const;
    bool is_plain(const Packet& packet) const;
    static bool begins_flow(const Packet& packet, flow::TcpSegment* segment = nullptr);
    bool is_elsewhere(const Packet& packet) const;
    bool has_just_begun(const Packet& packet) const;
    bool has_room(const dataplane::PortEntry& port) const;

    dataplane::Emit& emit_;
    Plane::Worker& pipeline_;
    const Plane::Tables* tables_ = nullptr;
    KnownRules rules_;
    std::array<Row, 2048> rows_{};
    std::array<Place, 2> last_{};  // that was found, of packets from guests and to them; not routed
    std::uint32_t turn_ = 0;       // which of a full row goes next
    std::array<Question, 8> questions_;
    std::uint32_t asked_ = 0;
    std::uint32_t program_ = 0;                     // the one that was asked for last
    std::uint64_t opened_ = 0, opened_before_ = 0;  // by now; when the burst began
};

}  // namespace weir::features
