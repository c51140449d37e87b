#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "apps/host/engine_loader.hpp"
#include "apps/host/port_table.hpp"
#include "apps/host/worker_group.hpp"
#include "base/result.hpp"
#include "dataplane/device.hpp"

namespace weir::host {

using DeviceFactory =
    std::function<Result<std::unique_ptr<dataplane::Device>>(const dataplane::DeviceSpec&)>;

// A port this host shall have.
struct PortSpec {
    std::string name;  // the underlay's is "underlay"
    dataplane::DeviceSpec device;
    bool is_service = false;  // a service node's, or to become one
    friend bool operator==(const PortSpec&, const PortSpec&) = default;
};

enum class PortState : std::uint8_t {
    waiting,  // its device cannot be opened (yet); `reason` says why, we keep trying
    opened,   // has its device, no engine has taken it
    running,  // polled
    refused,  // the engine does not take it
    frozen,   // moves from one engine to another
    gone,     // its device vanished; we keep trying
};
std::string_view port_state_name(PortState);

struct HostPort {
    PortSpec spec;
    std::uint32_t index = 0;
    std::uint32_t incarnation = 0;
    std::uint32_t polling_worker = 0;
    std::uint32_t queues = 1;  // of its device: so many workers poll it, from that one on
    PortState state = PortState::waiting;
    dataplane::DeviceState link = dataplane::DeviceState::gone;
    std::string reason;
    std::unique_ptr<dataplane::Device> device;
    LoadedEngine* engine = nullptr;
    weir_port_place place = weir_port_configured;
    std::uint32_t from_host = 0;  // unless configured: id of the host it comes from
    dataplane::PortStats before;  // of devices it had earlier

    dataplane::PortStats stats() const;  // of all its devices
};

// The ports of this host and their devices. Control thread only; tells the workers what to poll.
class PortSet {
public:
    PortSet(WorkerGroup& workers, PortTable table, DeviceFactory open_device)
        : workers_(workers), table_(table), open_device_(std::move(open_device)) {}
    // Closes the devices; the workers must have stopped.
    ~PortSet() = default;

    std::map<std::string, HostPort>& all() { return ports_; }
    const std::map<std::string, HostPort>& all() const { return ports_; }
    HostPort* find(const std::string& name);

    // A new port with its place in the table; its device is opened if it can be.
    Result<HostPort*> add(const PortSpec& spec);
    // Closes the device and forgets the port; its index becomes free and its flows are forgotten
    // if `keep_place` is false.
    void remove(const std::string& name, bool keep_place);

    // Tells an engine of the ports that others have.
    Status introduce_all(LoadedEngine& engine);
    // … or of one port that is to come.
    Status introduce(HostPort& port, LoadedEngine& engine);
    // The port is elsewhere now and its engine knows that: closes the device, gives the engine what
    // waited for the port, forgets it.
    void leave(HostPort& port);
    // The engine knows the port (no more) once every worker runs that.
    Status attach(HostPort& port, LoadedEngine& engine);
    void detach(HostPort& port, LoadedEngine& engine);
    // Attaches all ports that no engine has, waits until that is realised, and polls them only
    // then. The first refusal is returned; the other ports are realised all the same.
    Status realise_all(LoadedEngine& engine);
    // Stops polling and detaches, or quiesces if its flows are to go on; the device stays open.
    void unrealise(HostPort& port, bool keep_flows);
    // What the workers see of the port, from what stands in it.
    void show(const HostPort& port, bool frozen = false);

    // Looks after links: devices that vanished are closed, those that came back opened again.
    // True when anything changed.
    bool refresh();
    bool all_up() const;

private:
    Result<std::uint64_t> ask_attach(HostPort& port, LoadedEngine& engine);
    void open(HostPort& port);
    void close(HostPort& port, bool frozen = false);
    std::uint32_t sender_of(const HostPort& port, std::uint32_t worker) const;
    void follow_queues(HostPort& port, bool frozen);

    WorkerGroup& workers_;
    PortTable table_;
    DeviceFactory open_device_;
    std::map<std::string, HostPort> ports_;
};

// Waits until every worker of `engine` runs what the ticket is about.
Status wait_settled(WorkerGroup& workers, LoadedEngine& engine, std::uint64_t ticket);

}  // namespace weir::host
