#pragma once
#include <array>
#include <bit>
#include <cstdint>
#include <span>

#include "features/all.hpp"
#include "features/chain/anchor/short_way.hpp"
#include "features/first.hpp"
#include "features/overlay/quick_leg.hpp"
#include "flow/table.hpp"
#include "net/quick.hpp"

namespace weir::features {

// The way of packets whose flow is decided, in one pass over a burst: read, find the flow, follow
// it, do what its program says, send. What it costs does not depend on rules, chains or features.
//
// A packet between two guests of one host has two records to pass, the sender's and the
// receiver's. A plain flow has them fused from its first packet on, others once both have let
// packets pass (flow::Table::fuse): then one look-up tells all, and the packet is through.
//
// Packets of chains go the same way into the service plane, from other hosts to nodes here, from
// node to node of this host and back to their anchor here (chain::ShortWay).
//
// It decides nothing, and drops nothing but what begins more flows than its port may. A packet that
// is in any way unusual (headers, a trace, a segment that does not fit its connection, a flow that
// changed rules concern, a way that needs a look) takes the stages of all.hpp instead, untouched;
// so does every packet of the same flow behind it in the burst, provided that the unusual one could
// be read far enough to tell its flow. For the others it does what the stages would have done, to
// the packet, the flow and every counter (express_test.cpp and express_plane_test.cpp hold the two
// against each other).
class Express {
public:
    Express(dataplane::Emit& emit, Plane::Worker& pipeline)
        : emit_(emit),
          pipeline_(pipeline),
          shared_(emit.workers != 1),
          first_(emit, pipeline),
          plane_(emit, {pipeline.state<chain::Insert>(), pipeline.state<chain::Arrive>(),
                        pipeline.state<chain::Resolve>(), pipeline.state<chain::ToNode>(),
                        pipeline.state<chain::FromNode>(), pipeline.state<chain::Return>(),
                        pipeline.exits<chain::ToNode>()}) {}

    // Sends what it can; moves the rest to the front of `packets`, in order, and returns how many.
    std::uint32_t run(std::span<net::Packet*> packets, const Plane::Tables& tables);

    // Records that packets passed this way.
    std::uint64_t packets() const { return packets_; }
    // Packets that passed two fused records with one look-up; each counts as two above.
    std::uint64_t fused_packets() const { return fused_packets_; }
    // Packets that were put on a path this way, or came back from a node.
    std::uint64_t plane_packets() const { return plane_packets_; }
    // Records that were made this way.
    std::uint64_t flows() const { return first_.opened(); }

private:
    static_assert(limits::max_burst <= 32, "a bit for each packet of a burst");
    using Places = std::uint32_t;  // a bit for each packet of the burst
    // A packet on its way to the flow record that its next port keeps.
    struct alignas(128) Lane {
        net::Packet* packet = nullptr;
        const dataplane::PortEntry* port = nullptr;
        flow::Table::Probe probe;
        flow::Table::Hit hit;
        flow::FlowPair* sender = nullptr;  // on its way to the next record: the one it has passed
        std::uint32_t strip = 0;  // from the underlay: tunnel headers still in front of the frame
        std::uint32_t end = 0;    // … and where the tunnel packet ends; 0: not from the underlay
        bool goes_on = false;     // the direction gets a program with this packet
        std::uint32_t svni = 0;   // on the service plane, from another host: of the segment,
        std::uint32_t macs = 0;   // … and where the plane's addresses stand
        net::QuickFrame frame;

        flow::Table::Query query() const {
            return {port->scope, port->vni, &frame.tuple, frame.hash};
        }
    };
    static_assert(sizeof(Lane) == 128, "two lines");
    // Flows that have left the express way in this burst, in one kind of guest context.
    class Slow {
    public:
        void clear() { flows_ = 0; }
        void add(const net::QuickFrame& frame) { flows_ |= 1ull << frame.hash % 64; }
        void add_all() { flows_ = ~0ull; }
        bool has(const net::QuickFrame& frame) const { return flows_ >> frame.hash % 64 & 1; }

    private:
        std::uint64_t flows_ = 0;  // a bit for each, by hash
    };
    static_assert(sizeof(Lane) == 128);
    enum class Way : std::uint8_t { taken, joined, on_plane, slow };

    // A host of a service segment without keys, for the program of `ticket`.
    struct Origin {
        net::Ip address;
        std::uint64_t ticket = 0;
        std::uint32_t svni = 0;
        std::uint32_t host = 0;
        bool nsh = false;  // the segment's form between hosts
    };
    // What the program of a fused flow says to packets of a port, with all that was looked up for
    // it.
    struct alignas(128) Crossing {
        const dataplane::PortEntry* from = nullptr;
        std::uint64_t era = 0;  // Hot::era() of its flows
        std::uint32_t number = dataplane::ProgramStore::none;
        std::uint32_t longest = 0;  // largest QuickFrame::l3_end
        bool learns = false;        // the receiver's port, addresses from what DHCP says
        bool straight = false;      // neither that nor routed: nothing more to ask or to do
        dataplane::ActionProgram program;
    };

    // Programs of a sender's and a receiver's record, and the one that does what both say; as long
    // as Crossing holds.
    struct Joint {
        std::uint32_t out = dataplane::ProgramStore::none, in = dataplane::ProgramStore::none;
        std::uint32_t reach = 0;          // Reach::epoch of the receiver's port
        std::uint32_t to = net::no_port;  // … which this is
        std::uint32_t number = 0;
    };

    // What the program of a fused flow became when a packet led it on to the port's present epoch;
    // as long as Joint holds.
    struct Led {
        const dataplane::PortEntry* from = nullptr;
        std::uint32_t program = dataplane::ProgramStore::none, epoch = 0;  // as they were
        std::uint32_t to = dataplane::ProgramStore::none;
        dataplane::PortBits changed;  // flows to any other port hold as well, without a question
    };

    // A new flow between two guests of this host, until memory has brought where its second record
    // belongs.
    struct Opening {
        Lane* lane = nullptr;
        const dataplane::PortEntry* to = nullptr;
        std::uint32_t program = 0;  // 0: it only keeps its place behind others of its flow
    };

    void prepare(const Plane::Tables& tables);
    void enter(std::span<net::Packet*> packets, std::uint32_t from, std::uint32_t to);
    void look_at_reaches();
    void look_at_inlet(std::uint32_t index);
    Way enter_from_guest(Lane& lane, bool fresh);
    bool read_from_guest(Lane& lane);
    Way enter_else(Lane& lane);
    Way enter_from_tunnel(Lane& lane);
    Way enter_from_node(Lane& lane);
    Way enter_from_leg(Lane& lane, const overlay::QuickTunnel& tunnel);
    const Origin* origin_of(const overlay::QuickTunnel& tunnel);
    bool tells_flow(Lane& lane, const overlay::QuickTunnel& tunnel) const;
    std::uint32_t peer_of(const net::Ip& address);
    bool send_to_owner(net::Packet& p, const net::QuickFrame& frame);
    const dataplane::PortEntry* guest_behind(std::uint32_t vni, const std::uint8_t* frame);

    Lane* first_of(Places& places) {
        const auto skipped = static_cast<unsigned>(std::countr_zero(places)) % limits::max_burst;
        places >>= skipped;
        return &lanes_[skipped];
    }
    // Of those that are left; nearly always the very next one.
    static Places next_of(Places places, Lane*& lane) {
        do {
            places >>= 1;
            ++lane;
        } while ((places & 1) == 0 && places != 0);
        return places;
    }
    void fetch(Places places);
    void find(Places places);
    void act(Places places);
    bool act_on(Lane& lane, bool opens);
    bool act_apart(Lane& lane);
    bool open_later(Lane& lane, const dataplane::ActionProgram& out);
    std::uint32_t opening_program(const Lane& lane, const dataplane::PortEntry& to);
    void open_flows();
    bool open_both(const Opening& opening);
    void reach_guests();
    void act_on_plane(Places places);
    chain::ShortWay::Arrived arrived_of(const Lane& lane) const;
    bool leave_leg(Lane& lane);
    void leave_host(net::Packet& p);
    bool take_from_plane(Lane& lane, chain::ShortWay::Next next);
    bool enter_plane(const Lane& lane, chain::CallPoint point);
    bool leave_node(Lane& lane);
    bool come_back(Lane& lane, std::uint32_t svni);
    const dataplane::ActionProgram* program_of(flow::FlowPair& pair, std::uint8_t direction,
                                               const dataplane::PortEntry& port);
    const dataplane::PortEntry* guest_at(std::uint32_t port) const;
    enum class Followed : std::uint8_t { no, as_it_was, moved };
    const dataplane::ActionProgram* way_of(Lane& lane, bool outgoing);
    const dataplane::ActionProgram* way_of_others(Lane& lane, bool outgoing);
    Followed follow(const Lane& lane);
    void count(const Lane& lane, Followed followed, std::uint32_t bytes);
    bool take_first(const Lane& lane, std::uint32_t bytes, bool outgoing);
    bool take(const Lane& lane, std::uint32_t bytes, bool outgoing);
    bool take_to_plane(const Lane& lane, std::uint32_t bytes, bool outgoing);
    bool refuse(const Lane& lane);
    bool leave_guest(Lane& lane, bool opens);
    bool leave_by_tunnel(Lane& lane, const dataplane::ActionProgram& program);
    bool cross(Lane& lane);
    bool move_or_cut(Lane& lane);
    bool move_across(Lane& lane);
    const Crossing* answer_across(Lane& lane);
    void count_across(flow::Hot& own, net::Packet& p, const Crossing& way,
                      const net::QuickFrame& q);
    static bool may_cross(const Crossing& way, const net::QuickFrame& q, const std::uint8_t* frame);
    const Crossing* crossing_of(flow::FlowPair& pair, std::uint8_t direction,
                                const dataplane::PortEntry& from);
    const Crossing* find_crossing(flow::FlowPair& pair, std::uint8_t direction,
                                  const dataplane::PortEntry& from);
    bool lead_as_others(flow::Hot& own, std::uint16_t dst_port, const dataplane::PortEntry& from);
    bool reach_guest(Lane& lane);
    void reach_guest_by_stages(Lane& lane);
    // A connection with its first answer; else short conversations are over before it pays.
    static constexpr std::uint64_t worth_fusing = 8;
    static bool is_worth_fusing(const Lane& lane) {
        if (!lane.sender || !lane.hit) return false;
        const std::uint64_t asked = lane.sender->hot[0].packets;
        const std::uint64_t answers = lane.sender->hot[1].packets;
        return asked + answers >= worth_fusing ||
               (asked == 1 && answers == 1 && lane.frame.tuple.proto == net::proto_tcp);
    }
    void fuse(const Lane& lane);
    const dataplane::ActionProgram* lead_on(flow::FlowPair& pair, std::uint8_t direction,
                                            const dataplane::PortEntry& from, std::uint32_t reach);
    std::uint32_t crossing(flow::FlowPair& sender, flow::FlowPair& receiver, std::uint8_t direction,
                           const dataplane::PortEntry& from, const dataplane::PortEntry& to);
    std::uint32_t joint(std::uint32_t out, std::uint32_t in, const dataplane::PortEntry& to);

    dataplane::Emit& emit_;
    Plane::Worker& pipeline_;
    const bool shared_;  // there are other workers, who may own a packet's flow
    First first_;
    chain::ShortWay plane_;
    const dataplane::PortEntry* ports_ = nullptr;  // of the running program
    std::uint32_t port_count_ = 0;
    // The port that the packet in hand came from; a burst has one, rarely more.
    struct Inlet {
        // Hand-overs of packets that come in by it begin with this, if a guest is there.
        std::uint64_t first_word = 0;
        std::uint32_t index = net::no_port;
        dataplane::PortRole role = dataplane::PortRole::none;
        const dataplane::PortEntry* port = nullptr;
        std::uint64_t mac = 0;   // of a guest
        std::uint64_t seed = 0;  // of its flows in the index
    };
    Inlet inlet_;
    // A guest's port of this engine by index, for the program of `reaches_ticket_`.
    struct Reach {
        std::uint32_t epoch = 0;  // 0: no such port
        bool learns = false;      // addresses from what DHCP says
    };
    std::array<Reach, std::bit_ceil(limits::max_ports)> reaches_{};
    std::uint64_t reaches_ticket_ = ~std::uint64_t{0};
    // By program's number, the last ones; for `reaches_ticket_` and this generation of numbers.
    std::array<Crossing, 16> crossings_{};
    std::array<Joint, 16> joints_{};
    std::array<Led, 512> led_{};
    std::uint32_t crossings_generation_ = 0;
    std::array<Lane, limits::max_burst> lanes_;  // by place in the burst
    Places joined_ = 0, stays_ = 0;
    Places on_plane_ = 0;  // those of `joined_` that nodes gave back, or other hosts for the plane
    std::array<Lane*, limits::max_burst> reaching_;  // behind their sender, before their receiver
    std::uint32_t reaching_count_ = 0, crossed_ = 0;
    std::array<Opening, limits::max_burst> opening_;
    std::uint32_t opening_count_ = 0;
    Slow slow_leaving_, slow_reaching_, slow_on_plane_;
    Slow opening_flows_;                     // those of `opening_`
    dataplane::StageBits foreign_acts_ = 0;  // stages behind the insertion point that are not ours
    std::uint32_t tunnel_mtu_ = 0;           // largest IP packet of a guest that the underlay takes
    std::uint32_t neighbour_changes_ = 0;
    std::uint64_t packets_ = 0, fused_packets_ = 0, plane_packets_ = 0;

    // Where a tunnel's inner destination is, for the program of `ticket`.
    struct Place {
        std::uint64_t mac = 0;
        std::uint64_t ticket = 0;
        std::uint32_t vni = 0;
        std::uint32_t port = net::no_port;
    };
    std::array<Place, 256> places_{};
    struct Sender {
        net::Ip address;
        std::uint64_t ticket = 0;
        std::uint32_t host = net::no_port;
    };
    std::array<Sender, 64> senders_{};
    std::array<Origin, 64> origins_{};
    // How a service segment's packets leave, for the program of `ticket`: the last one's.
    struct Form {
        std::uint64_t ticket = 0;
        std::uint32_t svni = 0;
        bool nsh = false;
        bool is_other = false;  // Encap must write them
    };
    Form form_;
};

}  // namespace weir::features
