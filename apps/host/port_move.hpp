#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "apps/host/stub_table.hpp"
#include "base/result.hpp"
#include "dataplane/abi.hpp"

namespace weir::host {

class Shell;
struct HostConfig;
struct HostPort;

// Ports of this host that move to another host, and ports of others that move here (spec
// service-plane §8). A controller leads: every step is a question of its own, and whatever goes
// wrong before activate() leaves the port working where it was. Control thread only.
class PortMoves {
public:
    explicit PortMoves(Shell& shell) : shell_(shell) {}
    // Ports that had left when the process before this one ended are away still.
    void remember(StubTable table);

    // Who is led through a move and hears nothing for so long goes back to what was before.
    static constexpr std::uint64_t patience_ns = 60'000'000'000;
    static constexpr std::uint64_t freeze_patience_ns = 10'000'000'000;

    // At the destination. The port's device is opened and its tables are compiled, but it counts as
    // elsewhere. Gives its AnchorPortId here.
    Result<std::uint32_t> prepare(const std::string& name, std::uint32_t from_host);
    // One blob; gives pairs of FlowHandles there and here.
    Result<std::string> load(const std::string& name, const std::string& blob);
    // The port is here from now on, whatever the snapshot says.
    Status activate(const std::string& name);
    // It does not come after all.
    Status abandon(const std::string& name);

    // At the source. `begin`: a new pass, over everything or (`delta`) over what is new; then the
    // next blobs of it, until they have `max_bytes`.
    struct Saved {
        std::vector<std::string> blobs;
        bool done = false;  // the pass is complete
    };
    Result<Saved> save(const std::string& name, bool begin, bool delta, std::size_t max_bytes);
    // Packets of the port and for it wait from now on.
    Status freeze(const std::string& name);
    // It stays so a while longer.
    Status hold(const std::string& name);
    Status thaw(const std::string& name);
    // What load() answered: where flows are that were here.
    Status learn_handles(const std::string& name, const std::string& handles);
    // The port is on another host: what waits and what still comes for it goes there, for so long.
    Status forward(const std::string& name, std::uint32_t to_host, std::uint32_t to_anchor,
                   std::uint64_t stub_ns);

    // Where a move of the port stands, for a controller that takes one over: at the destination
    // "arriving" or "here"; else empty.
    std::string arrival_state(const std::string& name) const;

    bool is_arriving(const std::string& name) const { return arrivals_.contains(name); }
    // The snapshot has this port here now.
    void confirm(const std::string& name);
    // It left, and the snapshot has not said so yet.
    bool has_left(const std::string& name) const;
    // The snapshot has this port elsewhere: from now on it counts.
    void believe(const HostConfig& config);
    // Whether a move is under way: it would be lost with the engine. Stubs would not.
    bool any() const { return !arrivals_.empty() || !leaving_.empty(); }
    // Looks after those that wait for a controller; a few times a second.
    void look_around(std::uint64_t now_ns);

private:
    struct Arrival {
        std::uint64_t until_ns = 0;
        bool here = false;     // activated; the snapshot does not say so yet
        bool doubted = false;  // … and its controller does not expect it here any more
    };
    struct Leaving {
        std::uint64_t until_ns = 0;
        std::string handles;
        std::uint32_t worker = 0;  // whose turn it is in the pass
        bool passing = false;
        bool frozen = false;
    };
    Result<HostPort*> leaving_port(const std::string& name);
    static void renew(Leaving& leaving);
    void end_stub(Stub& stub);
    Result<HostPort*> arriving_port(const std::string& name);
    void forget_stub(const std::string& name);
    Result<bool> save_slice(HostPort& port, std::uint32_t worker, std::vector<std::string>& blobs);
    void drain();
    void tell(const char* what, const std::string& port, const std::string& why = {});

    Shell& shell_;
    std::map<std::string, Arrival> arrivals_;
    std::map<std::string, Leaving> leaving_;
    std::optional<StubTable> table_;
    std::vector<Stub> stubs_;  // as the table has them
};

}  // namespace weir::host
