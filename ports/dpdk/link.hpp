#pragma once
#include <string>

#include "base/result.hpp"
#include "dataplane/device.hpp"

namespace weir::ports {

// Watches a kernel interface from outside of DPDK, whose drivers do not say when one goes away.
// Control thread only.
class KernelLink {
public:
    // The interface of that name in the network namespace of the caller.
    static Result<KernelLink> of_interface(const std::string& name);
    // The TAP of that name which this process made; it may move to another network namespace.
    static Result<KernelLink> of_tap(const std::string& name);

    KernelLink(KernelLink&& other) noexcept;
    KernelLink& operator=(KernelLink&&) = delete;
    ~KernelLink();

    dataplane::DeviceState state() const;
    std::uint32_t mtu() const { return mtu_; }  // when it was opened

private:
    KernelLink() = default;
    std::string name_;
    int index_ = 0;
    std::uint32_t mtu_ = 0;
    int tap_fd_ = -1;
};

}  // namespace weir::ports
