#include "apps/host/doctor.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "apps/host/link_news.hpp"
#include "apps/host/shell.hpp"
#include "base/limits.hpp"

namespace weir::host {
namespace {

using Level = Finding::Level;

Finding fine(std::string check, std::string found) {
    return {Level::fine, std::move(check), std::move(found), "", ""};
}

bool has_capability(unsigned capability) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2]{};
    if (syscall(SYS_capget, &header, data) != 0) return false;
    return data[capability / 32].effective >> (capability % 32) & 1u;
}

Finding privileges() {
    std::string missing;
    for (const auto& [capability, name] :
         {std::pair{CAP_NET_ADMIN, "CAP_NET_ADMIN"}, std::pair{CAP_NET_RAW, "CAP_NET_RAW"}})
        if (!has_capability(static_cast<unsigned>(capability)))
            missing += (missing.empty() ? "" : ", ") + std::string(name);
    if (missing.empty()) return fine("privileges", "may make and open interfaces");
    return {Level::problem, "privileges", "lacks " + missing,
            "TAPs cannot be made and packet sockets not opened, so no port comes up",
            "run as root or grant " + missing};
}

Finding tun_device() {
    const int file = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (file < 0)
        return {Level::problem, "kernel: tun", "/dev/net/tun cannot be opened",
                "ports with device type tap cannot be made", "modprobe tun"};
    close(file);
    return fine("kernel: tun", "there");
}

Finding packet_socket() {
    const int file = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (file < 0)
        return {Level::problem, "kernel: af_packet", "no packet sockets",
                "underlay and ports with device type af_packet cannot be opened",
                "modprobe af_packet, and grant CAP_NET_RAW"};
    close(file);
    return fine("kernel: af_packet", "there");
}

// Tried in a network namespace that goes away with the thread.
Finding veth() {
    bool works = false, tried = false;
    std::thread visitor([&] {
        if (unshare(CLONE_NEWNET) != 0) return;
        tried = true;
        works = std::system("ip link add weir0 type veth peer name weir1 2>/dev/null") == 0;
    });
    visitor.join();
    if (works) return fine("kernel: veth", "there");
    if (!tried) return {Level::note, "kernel: veth", "not tried", "needs root", ""};
    return {Level::warning, "kernel: veth", "no veth pairs",
            "guests and service nodes in namespaces are usually connected by them",
            "modprobe veth; apt-get install iproute2"};
}

Finding huge_pages() {
    std::ifstream file("/proc/sys/vm/nr_hugepages");
    std::uint64_t pages = 0;
    file >> pages;
    if (pages > 0) return fine("huge pages", std::to_string(pages));
    return {Level::note, "huge pages", "none",
            "Weir runs without them; vhost-user ports and large flow tables are faster with them",
            "echo 512 > /proc/sys/vm/nr_hugepages"};
}

Finding locked_memory() {
    rlimit limit{};
    getrlimit(RLIMIT_MEMLOCK, &limit);
    constexpr rlim_t wanted = rlim_t{64} << 20;
    if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= wanted || has_capability(CAP_IPC_LOCK))
        return fine("locked memory", "enough");
    return {Level::warning, "locked memory",
            "limited to " + std::to_string(limit.rlim_cur >> 20) + " MB",
            "DPDK may fail to lock packet memory", "ulimit -l unlimited"};
}

void examine_port(const HostPort& port, std::vector<Finding>& findings) {
    if (port.state == PortState::running && port.link == dataplane::DeviceState::up)
        return findings.push_back(fine("port " + port.spec.name, "running"));
    Finding finding{Level::warning, "port " + port.spec.name, "", "", ""};
    if (port.state != PortState::running) {
        finding.found = port_state_name(port.state);
        finding.why = port.reason;
        finding.advice = "make its device available: " + port.spec.device.text();
    } else {
        finding.found = "link down";
        finding.why = "what is sent there is dropped as port.link_down";
        finding.advice = "set the other end up: " + port.spec.device.text();
    }
    findings.push_back(std::move(finding));
}

void examine_underlay(Shell& shell, std::vector<Finding>& findings) {
    const HostPort* underlay = shell.ports().find("underlay");
    if (!underlay || !underlay->device) return;
    const auto [have, needed] = underlay_mtu(shell.ports().all());
    const std::uint32_t largest = needed - limits::tunnel_headroom_bytes;
    if (have >= needed) return findings.push_back(fine("underlay MTU", std::to_string(have)));
    findings.push_back({Level::problem, "underlay MTU",
                        std::to_string(have) + " is below " + std::to_string(needed),
                        "tunnels add up to " + std::to_string(limits::tunnel_headroom_bytes) +
                            " bytes to guests' packets of " + std::to_string(largest) +
                            "; large ones are answered with \"too big\"",
                        "ip link set " + underlay->spec.device.interface + " mtu " +
                            std::to_string(needed) + ", on every hop of the underlay"});
}

}  // namespace

std::string_view finding_level_name(Level level) {
    constexpr std::string_view names[] = {"ok", "note", "warning", "problem"};
    return names[static_cast<std::size_t>(level)];
}

std::vector<Finding> examine_machine() {
    return {privileges(), tun_device(), packet_socket(), veth(), huge_pages(), locked_memory()};
}

std::vector<Finding> examine(Shell& shell) {
    std::vector<Finding> findings = examine_machine();
    examine_underlay(shell, findings);
    for (const auto& [name, port] : shell.ports().all()) examine_port(port, findings);
    if (shell.engines().empty())
        findings.push_back({Level::problem, "engine", "none is loaded", "no packet is handled",
                            "start weir-host with --engine"});
    return findings;
}

}  // namespace weir::host
