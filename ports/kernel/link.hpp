#pragma once
#include <sys/types.h>

#include <string>

#include "base/result.hpp"
#include "dataplane/device.hpp"

namespace weir::ports {

// Says whether a network interface is there and up.
// Control thread only.
class KernelLink {
public:
    // The interface of that name in the network namespace of the caller.
    static Result<KernelLink> of_interface(const std::string& name);
    // The TAP behind an open TUN file, called `name` now; it may move to another network namespace.
    static Result<KernelLink> of_tap(const std::string& name, int tun_file);

    KernelLink(KernelLink&& other) noexcept;
    KernelLink& operator=(KernelLink&&) = delete;
    ~KernelLink();

    dataplane::DeviceState state() const;
    bool has_queueing_discipline() const;  // or it cannot be told
    Status bring_up();                     // sets it administratively up; only where it was opened
    std::uint32_t mtu() const { return mtu_; }  // when it was opened
    int index() const { return index_; }

private:
    KernelLink() = default;
    dataplane::DeviceState tap_state() const;
    std::string name_;
    int index_ = 0;
    std::uint32_t mtu_ = 0;
    int tap_fd_ = -1;         // a duplicate
    mutable int asker_ = -1;  // a socket in the namespace where the interface is, or was last
    mutable ino_t asker_place_ = 0;
};

}  // namespace weir::ports
