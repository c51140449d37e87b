#pragma once
#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/bfd.hpp"
#include "dataplane/stage.hpp"

namespace weir::model {
class Value;
}

namespace weir::chain {

// Whether packets of the service plane reach the other hosts of our service segments: one BFD
// session with each (spec service-plane LV-1a), in Geneve, inside of a control packet. What it says
// is for this host alone (LV-9): it stands on the health board and goes to operators, not to other
// hosts.
//
// The worker that polls the underlay port runs the sessions; packets may reach any worker.
struct Bfd {
    static constexpr std::string_view name = "bfd";
    static constexpr std::size_t max_sessions = 1024;

    // Another host, and the service segment that carries the session: the lowest that both have.
    struct Peer {
        std::uint32_t host_id = 0;
        std::uint32_t svni = 0;
        std::string name;
        friend bool operator==(const Peer&, const Peer&) = default;
    };
    struct Tables {
        std::uint32_t host_id = 0;
        net::Ip address;          // of our tunnel endpoint; IPv4 only, else the loopback address
        std::vector<Peer> peers;  // by host id, at most max_sessions
        std::uint64_t digest = 0;
        const Peer* peer(std::uint32_t host) const;
        friend bool operator==(const Tables&, const Tables&) = default;
    };

    // One session of the vault: engines come and go, sessions stay. `session` belongs to the worker
    // that runs it; packets wait for it in `received`, one at a time.
    struct Slot {
        std::atomic<std::uint32_t> host_id{0};  // 0: free
        std::atomic<std::uint32_t> discriminator{0};
        std::atomic<std::uint32_t> mailbox{0};  // 0: empty; 1: being written; 2: full
        std::array<std::uint8_t, net::bfd_bytes> received{};
        std::uint64_t received_ns = 0;
        dataplane::BfdSession session;
        std::atomic<std::uint64_t> sent{0}, heard{0};
    };
    struct Memory {
        static constexpr std::string_view pool_name = "tunnel-sessions";
        static constexpr std::uint32_t layout_version = 1;
        std::uint64_t ticked_ns = 0;  // last time that the sessions were looked at
        std::atomic<std::uint32_t> seed{0};
        std::array<Slot, max_sessions> slots;
    };

    struct State {
        Memory* memory = nullptr;
        std::uint64_t digest = 0;
        std::vector<std::uint16_t> slots;  // of Tables::peers; reserved when opened
        void open(const dataplane::OpenInput& input);
    };

    enum class Exit : std::uint8_t {
        bad_packet,       // RFC 5880 §6.8.6
        unknown_session,  // from a host that we have no session with, or about another one
        count_
    };
    static constexpr std::array<std::string_view, 2> exit_names = {"bfd.bad_packet",
                                                                   "bfd.unknown_session"};

    static Result<std::shared_ptr<const Tables>> compile(
        const dataplane::CompileInput&, const std::shared_ptr<const Tables>& previous);
    static void run(dataplane::Burst&, const Tables&, State&, dataplane::Exits<Exit>&,
                    dataplane::Emit&);
    static void tick(const Tables&, State&, dataplane::Exits<Exit>&, dataplane::Emit&);
    static void counters(const Tables&, const State&, dataplane::CounterSink&);
    // "sessions"
    static bool query(std::string_view what, const Tables&, State&, dataplane::Emit&,
                      model::Value& rows);
};
static_assert(dataplane::Stage<Bfd>);

}  // namespace weir::chain
