#pragma once
#include <array>
#include <cstdint>
#include <string_view>

#include "dataplane/abi.hpp"
#include "dataplane/adoption.hpp"
#include "dataplane/burst.hpp"
#include "dataplane/epoch_history.hpp"
#include "dataplane/health.hpp"
#include "dataplane/program.hpp"
#include "dataplane/topology.hpp"
#include "dataplane/trace_log.hpp"

namespace weir::flow {
class Table;
struct FlowPair;
}  // namespace weir::flow

namespace weir::dataplane {

// The visible stage lists of features/all.hpp; `done`: the packet has left (sent, handed on,
// dropped).
enum class Context : std::uint8_t { source = 0, destination, underlay, service, done };
inline constexpr std::size_t context_count = 4;
std::string_view context_name(Context);

// Where the stages of the lists stand, as bits; filled from features/all.hpp when the engine
// starts.
struct StageMap {
    std::array<StageBits, context_count> all{};  // every stage of the context
    // Guest contexts: [0] source, [1] destination.
    std::array<StageBits, 2> behind_tracking{};   // stages behind Track
    std::array<StageBits, 2> insertion{};         // the Insert stage itself
    std::array<StageBits, 2> behind_insertion{};  // stages behind Insert: where a resume goes on
    StageBits deliver = 0;                        // destination: Deliver alone
    // Source context: the acting stages of part two.
    StageBits ttl = 0, egress = 0, encap = 0;
    // Service context, by where the packet comes from.
    StageBits service_from_anchor = 0;  // Insert put it there: next is Resolve
    StageBits service_from_tunnel = 0;  // another host sent it
    StageBits service_from_node = 0;    // a service port received it
};

// Where packets are lost between the stages: more wait for a context than its queue holds, or the
// pool of packets is dry.
inline constexpr std::array<std::string_view, 2> pipeline_exit_names = {"pipeline.queue_full",
                                                                        "pipeline.no_buffer"};

// What a stage may do beside changing its own packets. One per worker, everything pre-allocated.
//
// Every call that takes a `Packet&` takes the packet over: the stage must not touch it again.
// Packets put here are worked on in the next round; a packet enters contexts at most
// limits::max_recirculations times (then exit `pipeline.loop`).
class Emit {
public:
    Emit(const weir_host_vtable& host, std::uint32_t worker_index);

    std::uint64_t now_ns = 0;  // CLOCK_MONOTONIC; virtual in tests
    std::uint64_t ticket = 0;  // of the running program; what was derived from another is void
    const std::uint32_t worker;
    const std::uint32_t workers;
    std::uint32_t engine = 1;         // instance, for Hot::engine
    flow::Table* flows = nullptr;     // this worker's shard; set by use()
    const Topology* ports = nullptr;  // of the running program
    const StageMap* stages = nullptr;
    HealthBoard* health = nullptr;  // of this host
    Adoption adoption;              // of connections whose records were lost
    bool adopts() const { return adoption.is_on(now_ns); }

    // A fresh packet without data (headroom as limits say); null when the pool is dry.
    Packet* allocate();
    // A copy of the bytes, the hand-over and the scratch; null when the pool is dry.
    Packet* clone(const Packet&);
    // Frees a packet that no stage handles (a clone that was not needed).
    void release(Packet&);

    // The packet goes on in `context`, at the stages of `pending`.
    void enter(Packet&, Context context, StageBits pending);
    void enter(Packet& p, Context context) {
        enter(p, context, stages->all[static_cast<std::size_t>(context)]);
    }
    // The same for a packet that has just come in: the first entry does not count.
    void start(Packet&, Context context, StageBits pending);
    // To the device of a port of this host, after this burst.
    void transmit(Packet&, std::uint32_t port);
    // The same for a packet that no stage has.
    void forward(Packet& p, std::uint32_t port) {
        Outbox* box = last_box_;
        if (box->to != port) box = last_box_ = &box_of(port);
        append(*box, p, transmit_box);
    }
    // To the worker that owns the packet's flow; there it is received again with its hand-over.
    void hand_to_worker(Packet&, std::uint32_t to);
    // To the engine that owns hand.port.
    void hand_to_engine(Packet&);
    // The stage keeps the packet (hold queues); it comes back by one of the calls above.
    void keep(Packet&);
    // The record is removed after this burst; other packets of the burst may still point at it.
    void forget(flow::FlowPair&);
    // Gives the packet a copy of its flow's program. False: the flow has none; then it is a fresh
    // one.
    bool load_program(Packet&);
    // The packet's program is its flow's from now on, in the packet's direction.
    void store_program(const Packet&);
    // The number of a program for Hot::program.
    std::uint32_t number_of(const ActionProgram& program) { return programs_.put(program); }
    // Where the port's epoch moved on and no change since concerns the flow: what was decided for
    // this direction, and its program, hold under the present one from now on. False: as it was.
    bool renew(flow::FlowPair&, std::uint8_t direction, const PortEntry&);
    // Counts a direction that somebody else has led on so.
    void count_renewal() { ++renewals_; }
    std::uint64_t renewals() const { return renewals_; }
    // What Hot::program names; null: nothing any more.
    const ActionProgram* program(std::uint32_t number) const { return programs_.get(number); }
    std::uint32_t program_generation() const { return programs_.generation(); }

    // At most 1000 ICMP errors and resets a second and worker (RFC 1812 §4.3.2.8).
    bool may_send_icmp() {
        if (now_ns - icmp_second_ns_ >= 1'000'000'000) {
            icmp_second_ns_ = now_ns;
            icmp_sent_ = 0;
        }
        return icmp_sent_++ < max_icmp_per_second;
    }
    static constexpr std::uint32_t max_icmp_per_second = 1000;

    // One fact for the trace of a traced packet; does nothing for others.
    void note(const Packet& p, std::string_view key, std::string_view value) {
        if (p.hand.trace_id != 0) [[unlikely]]
            trace.note(p.hand.trace_id, key, value);
    }
    void note(const Packet& p, std::string_view key, std::uint64_t value) {
        if (p.hand.trace_id != 0) [[unlikely]]
            trace.note(p.hand.trace_id, key, value);
    }
    // Shown to operators; rate-limit it yourself.
    void event(std::string_view json) { host_.event(host_.host, json.data(), json.size()); }

    TraceLog trace;

    // The rest is the pipeline's.
    void use(flow::Table& shard);  // before the first burst
    static constexpr std::size_t queue_capacity = 1024;
    PacketQueue<queue_capacity>& queue(Context c) { return queues_[static_cast<std::size_t>(c)]; }
    void drop(Packet& p);     // frees it, after this burst
    void flush();             // transmits, hands over, frees and forgets what has gathered
    std::uint64_t taken = 0;  // packets of the running stage's burst that were taken over, by slot
    std::uint64_t loops() const { return loops_; }
    std::uint64_t overflows() const { return overflows_; }
    std::uint64_t no_buffers() const { return no_buffers_; }

private:
    struct Outbox {
        std::uint32_t to = net::no_port;  // of a port's: nobody while it is empty
        std::uint32_t count = 0;
        std::array<Packet*, limits::max_burst> packets{};
    };
    void part(const flow::Hot& out, flow::Hot& in) const;
    void leave(Packet& p) {
        if (p.slot != net::no_slot) taken |= 1ull << p.slot;
        p.slot = net::no_slot;
    }
    Outbox& box_of(std::uint32_t port);
    static void transmit_box(Emit&, Outbox&);
    void send(Outbox& box, void (*how)(Emit&, Outbox&));
    void append(Outbox& box, Packet& p, void (*how)(Emit&, Outbox&)) {
        box.packets[box.count++] = &p;
        if (box.count == box.packets.size()) [[unlikely]]
            send(box, how);
    }

    const weir_host_vtable& host_;
    std::array<PacketQueue<queue_capacity>, context_count> queues_;
    static constexpr std::size_t outbox_count =
        8;  // ports addressed within one burst before a flush
    std::array<Outbox, outbox_count> transmits_{};
    Outbox* last_box_ = transmits_.data();  // the one that was written to last
    std::array<Outbox, limits::max_workers> to_workers_{};
    Outbox to_engine_{};
    Outbox released_{};
    std::array<flow::FlowPair*, 2 * limits::max_burst> forgotten_{};
    std::size_t forgotten_count_ = 0;
    ProgramStore programs_;
    // What a program became when a flow with it was led on to another epoch.
    struct Renewed {
        std::uint32_t from = ProgramStore::none, to = ProgramStore::none;
        std::uint32_t from_epoch = 0, epoch = 0;  // ActionProgram::behind_epoch of both
        PortBits changed;  // flows to any other port hold as well, without a question

        bool is_for(const flow::Hot& hot, const PortEntry& port) const {
            return from == hot.program && from_epoch == hot.epoch && epoch == port.epoch;
        }
    };
    std::array<Renewed, 512> renewed_{};  // the last ones
    std::uint64_t renewals_ = 0;
    std::uint64_t icmp_second_ns_ = 0;
    std::uint32_t icmp_sent_ = 0;
    std::uint64_t loops_ = 0, overflows_ = 0, no_buffers_ = 0;
};

}  // namespace weir::dataplane
