#pragma once
#include <memory>

#include "base/result.hpp"
#include "dataplane/device.hpp"

// Ports on the kernel's network interfaces, opened in the network namespace of the caller.
namespace weir::ports {

// Makes the interface `spec.interface`, a TAP; it is the guest's end and may be moved to another
// namespace. It goes away with the device.
Result<std::unique_ptr<dataplane::Device>> open_tap(dataplane::DeviceSpec spec,
                                                    dataplane::PacketPool& pool);

// Takes over the interface `spec.interface`, e.g. our end of a veth pair: all frames, VLAN tags
// included; an MTU of 0 means that of the interface. The host's own IPv6 is switched off on it;
// addresses of the host do not belong there.
Result<std::unique_ptr<dataplane::Device>> open_packet_socket(dataplane::DeviceSpec spec,
                                                              dataplane::PacketPool& pool);

}  // namespace weir::ports
